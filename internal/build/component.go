// Package build compiles everything that runs on a Basalt node and makes a root
// tree and container images of it.
//
// A build is a function of the sources: every step's result is kept in a cache
// under the digest of what went into it, so a step whose inputs did not change
// is not done again, and a result is the same on every machine with the same Go
// and C compilers.
package build

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/basalt-os/basalt/internal/version"
)

// component is something that is compiled, from one Go module or from C.
type component struct {
	name     string
	dir      string            // source folder in the repository
	modFile  string            // the go.mod to use, when it is not dir's own
	module   string            // upstream's module, which gives the version
	programs map[string]string // package to compile by the program's name
	tags     string
	static   bool // cgo, linked statically
	// variables are the linker's -X settings for a version "v1.2.3".
	variables func(version string) map[string]string
	c         []string // C sources instead of Go packages

	// sources are the files and folders in the repository that it is compiled
	// from, when they are not dir; skip tells those to leave out.
	sources []string
	skip    func(string) bool

	// Debian packages that the C compiler needs, and the libraries in them.
	headers   []string
	libraries []string
}

const (
	// DefaultKubernetes is the version that a cluster runs when nobody asks for
	// another. The version of the same name is in build/kubernetes/go.mod.
	DefaultKubernetes = "1.36.3"

	// AgnhostVersion is what test/images/agnhost/VERSION says in Kubernetes.
	AgnhostVersion = "2.63.0"
)

// components are what the build compiles, in the order in which it is done.
func components(kubernetes []string, commit string) []component {
	result := []component{
		{
			name: "pause", dir: "build/pause", c: []string{"pause.c"},
		},
		{
			name: "cni", dir: "build/cni", module: "github.com/containernetworking/plugins",
			programs: map[string]string{
				"bandwidth":  "github.com/containernetworking/plugins/plugins/meta/bandwidth",
				"bridge":     "github.com/containernetworking/plugins/plugins/main/bridge",
				"firewall":   "github.com/containernetworking/plugins/plugins/meta/firewall",
				"host-local": "github.com/containernetworking/plugins/plugins/ipam/host-local",
				"loopback":   "github.com/containernetworking/plugins/plugins/main/loopback",
				"portmap":    "github.com/containernetworking/plugins/plugins/meta/portmap",
			},
			variables: variable("github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion"),
		},
		{
			name: "runc", dir: "build/runc", module: "github.com/opencontainers/runc",
			programs: map[string]string{"runc": "github.com/opencontainers/runc"},
			tags:     "seccomp,netgo,osusergo", static: true,
			headers: []string{"libseccomp-dev"}, libraries: []string{"seccomp"},
		},
		{
			name: "containerd", dir: "build/containerd", module: "github.com/containerd/containerd/v2",
			programs: map[string]string{
				"containerd":              "github.com/containerd/containerd/v2/cmd/containerd",
				"containerd-shim-runc-v2": "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
			},
			tags:      "no_devmapper,no_tracing,no_zfs",
			variables: variable("github.com/containerd/containerd/v2/version.Version"),
		},
		{
			name: "etcd", dir: "build/etcd", module: "go.etcd.io/etcd/server/v3",
			programs: map[string]string{"etcd": "."},
		},
		{
			name: "coredns", dir: "build/coredns", module: "github.com/coredns/coredns",
			programs: map[string]string{"coredns": "."},
		},
		{
			name: "flannel", dir: "build/flannel", module: "github.com/flannel-io/flannel",
			programs: map[string]string{"flanneld": "."}, variables: variable("main.version"),
		},
	}

	for _, name := range []string{"basalt", "basaltctl"} {
		result = append(result, ownComponent(name, commit))
	}

	for i, version := range kubernetes {
		result = append(result, kubernetesComponents(version, i == 0)...)
	}

	return result
}

// machineComponents are what only machines have.
func machineComponents(commit string) []component {
	return []component{{
		name: "stage1", dir: ".", module: ownModule,
		programs: map[string]string{"stage1": "./cmd/stage1"},
		sources:  []string{"go.mod", "go.sum", "cmd/stage1", "internal/stage1", "internal/watchdog"},
	}, {
		// The kernel starts it whenever it misses a module, so it is a small program.
		name: "modprobe", dir: ".", module: ownModule,
		programs: map[string]string{"modprobe": "./cmd/modprobe"},
		sources:  []string{"go.mod", "go.sum", "cmd/modprobe", "internal/cmdline", "internal/kmod"},
	}, ownComponent(installerProgram, commit)}
}

// ownComponent is a program of this repository that tells its commit.
func ownComponent(name, commit string) component {
	return component{
		name: name, dir: ".", module: ownModule,
		programs: map[string]string{name: "./cmd/" + name},
		variables: func(string) map[string]string {
			return map[string]string{ownModule + "/internal/version.Commit": commit}
		},
		sources: []string{"go.mod", "go.sum", "api", "cmd/" + name, "internal", "pkg"},
		skip:    func(path string) bool { return path == "internal/build" },
	}
}

// toolsComponent are the programs that check our sources.
func toolsComponent() component {
	return component{
		name: "tools", dir: "build/tools", module: "github.com/golangci/golangci-lint/v2",
		programs: map[string]string{
			"golangci-lint": "github.com/golangci/golangci-lint/v2/cmd/golangci-lint",
			"govulncheck":   "golang.org/x/vuln/cmd/govulncheck",
			"deadcode":      "golang.org/x/tools/cmd/deadcode",
		},
	}
}

// kubernetesComponents are the node's multi-call binary of one version and, of
// the first, what runs elsewhere: the user's kubectl and the image for tests.
func kubernetesComponents(version string, first bool) []component {
	node := component{
		name: "kubernetes-" + version, dir: "build/kubernetes", module: "k8s.io/kubernetes",
		programs:  map[string]string{"kubernetes": "."},
		variables: kubernetesVariables,
	}

	if version != DefaultKubernetes {
		node.modFile = "go-" + version + ".mod"
	}

	if !first {
		return []component{node}
	}

	kubectl, agnhost := node, node
	kubectl.name, kubectl.programs = "kubectl", map[string]string{"kubectl": "k8s.io/kubernetes/cmd/kubectl"}
	agnhost.name, agnhost.programs = "agnhost", map[string]string{"agnhost": "k8s.io/kubernetes/test/images/agnhost"}

	agnhost.variables = func(string) map[string]string { return map[string]string{"main.Version": AgnhostVersion} }

	return []component{node, kubectl, agnhost}
}

const ownModule = "github.com/basalt-os/basalt"

// variable sets one variable to the version.
func variable(name string) func(string) map[string]string {
	return func(version string) map[string]string { return map[string]string{name: version} }
}

func kubernetesVariables(version string) map[string]string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	result := map[string]string{}

	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		result[pkg+".gitVersion"] = version
		result[pkg+".gitMajor"] = parts[0]
		result[pkg+".gitMinor"] = parts[1]
		result[pkg+".gitCommit"] = ""
		result[pkg+".gitTreeState"] = "archive"
		result[pkg+".buildDate"] = "1970-01-01T00:00:00Z"
	}

	return result
}

// origin is where a component's source comes from.
type origin struct {
	Module  string
	Version string // "v1.2.3"
	Sum     string // go.sum's "h1:..."
}

// goMod is the component's go.mod in the repository at root.
func (c component) goMod(root string) string {
	if c.modFile != "" {
		return filepath.Join(root, c.dir, c.modFile)
	}

	return filepath.Join(root, c.dir, "go.mod")
}

// origin reads version and checksum from go.mod and go.sum, the only places
// where they are written.
func (c component) origin(root string) (origin, error) {
	switch {
	case len(c.c) > 0:
		return c.cOrigin(root)
	case c.module == ownModule:
		return origin{Module: ownModule, Version: "v" + version.Version}, nil
	}

	file, err := c.readGoMod(root)
	if err != nil {
		return origin{}, fmt.Errorf("reading the version of %s: %w", c.name, err)
	}

	for _, require := range file.Require {
		if require.Mod.Path == c.module {
			sum, err := checksum(strings.TrimSuffix(c.goMod(root), ".mod")+".sum", require.Mod)

			return origin{Module: c.module, Version: require.Mod.Version, Sum: sum}, err
		}
	}

	return origin{}, fmt.Errorf("reading the version of %s: %s does not require %s", c.name, c.goMod(root), c.module)
}

// readGoMod reads the component's go.mod.
func (c component) readGoMod(root string) (*modfile.File, error) {
	data, err := os.ReadFile(c.goMod(root))
	if err != nil {
		return nil, err
	}

	return modfile.Parse(c.goMod(root), data, nil)
}

func checksum(sumFile string, mod module.Version) (string, error) {
	data, err := os.ReadFile(sumFile)
	if err != nil {
		return "", fmt.Errorf("reading the checksum of %s: %w", mod, err)
	}

	for line := range bytes.Lines(data) {
		fields := strings.Fields(string(line))
		if len(fields) == 3 && fields[0] == mod.Path && fields[1] == mod.Version {
			return fields[2], nil
		}
	}

	return "", fmt.Errorf("reading the checksum of %s: %s does not have it", mod, sumFile)
}

var pauseVersion = regexp.MustCompile(`(?m)^#define VERSION "([0-9.]+)"$`)

// cOrigin takes the version of our own C program from its source.
func (c component) cOrigin(root string) (origin, error) {
	data, err := os.ReadFile(filepath.Join(root, c.dir, c.c[0]))
	if err != nil {
		return origin{}, fmt.Errorf("reading the version of %s: %w", c.name, err)
	}

	match := pauseVersion.FindSubmatch(data)
	if match == nil {
		return origin{}, fmt.Errorf("reading the version of %s: %s defines no VERSION", c.name, c.c[0])
	}

	return origin{Module: ownModule + "/" + c.dir, Version: string(match[1])}, nil
}
