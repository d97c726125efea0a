package kubeupgrade

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/semver"
)

// component is a part of Kubernetes whose image is in the machine
// configuration.
type component struct {
	name  string // as Kubernetes and the images call it
	kind  string // document with its settings
	image string // repository of the image

	// legacy is where the image is in the older document.
	legacy []string
}

// Components of a control plane node, in the order in which versions may differ:
// nothing may be newer than the API server.
const (
	apiServer = iota
	controllerManager
	scheduler
	proxy
	kubelet
	componentCount
)

func components(images [componentCount]string) [componentCount]component {
	return [componentCount]component{
		{"kube-apiserver", "KubeAPIServerConfig", images[apiServer], []string{"cluster", "apiServer", "image"}},
		{"kube-controller-manager", "KubeControllerManagerConfig", images[controllerManager], []string{"cluster", "controllerManager", "image"}},
		{"kube-scheduler", "KubeSchedulerConfig", images[scheduler], []string{"cluster", "scheduler", "image"}},
		{"kube-proxy", "KubeProxyConfig", images[proxy], []string{"cluster", "proxy", "image"}},
		{"kubelet", "KubeletConfig", images[kubelet], []string{"machine", "kubelet", "image"}},
	}
}

// at is the image of a version "1.36.3".
func (c component) at(version string) string { return c.image + ":v" + version }

// errPath is an upgrade that Kubernetes does not support.
var errPath = errors.New("this is not a supported way")

// checkPath says whether a cluster of one version can become one of another:
// Kubernetes goes one minor version at a time, and not back to an earlier one.
func checkPath(from, to string) error {
	for _, v := range []string{from, to} {
		if !semver.IsValid("v" + v) {
			return fmt.Errorf("version %q is no version such as 1.36.3", v)
		}
	}

	fromMinor, toMinor := semver.MajorMinor("v"+from), semver.MajorMinor("v"+to)

	switch {
	case fromMinor == toMinor:
		return nil
	case semver.Major(fromMinor) == semver.Major(toMinor) && minor(toMinor) == minor(fromMinor)+1:
		return nil
	case semver.Compare(toMinor, fromMinor) < 0:
		return fmt.Errorf("from %s to %s: %w: Kubernetes cannot go back to an earlier minor version", from, to, errPath)
	default:
		return fmt.Errorf("from %s to %s: %w: Kubernetes goes one minor version at a time: upgrade to %s.%d first",
			from, to, errPath, strings.TrimPrefix(semver.Major(fromMinor), "v"), minor(fromMinor)+1)
	}
}

// minor is the second number of a version "v1.36".
func minor(version string) int {
	var major, number int

	// The form was checked: what does not scan is zero.
	_, _ = fmt.Sscanf(version, "v%d.%d", &major, &number)

	return number
}

// lowest is the earliest of versions "v1.36.3", without the letter.
func lowest(versions []string) (string, error) {
	least := ""

	for _, v := range versions {
		if !strings.HasPrefix(v, "v") {
			v = "v" + v
		}

		if !semver.IsValid(v) {
			return "", fmt.Errorf("version %q, which the cluster runs, is no version", v)
		}

		if least == "" || semver.Compare(v, least) < 0 {
			least = v
		}
	}

	if least == "" {
		return "", errors.New("the cluster does not tell which version it runs")
	}

	return strings.TrimPrefix(least, "v"), nil
}
