// Package staticpod builds the pods of the Kubernetes control plane that the
// kubelet runs on its own: kube-apiserver, kube-controller-manager and
// kube-scheduler. All of it is pure; the files that the pods mount are written
// by the controllers of package k8s.
package staticpod

import (
	"fmt"
	"maps"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/basalt-os/basalt/internal/resources/k8s"
)

// Names of the components, which are the IDs of their pods too.
const (
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
)

// Users and groups that the components run as.
const (
	APIServerUser         = 65534
	ControllerManagerUser = 65535
	SchedulerUser         = 65536
)

// Folders of the host that hold the components' files, a folder for each.
const (
	SecretsRoot = "/system/secrets/kubernetes"
	ConfigRoot  = "/system/config/kubernetes"
	// AuditLogDir is owned by the API server's user.
	AuditLogDir = "/var/log/audit/kube"
)

// Annotations of a pod. The kubelet replaces the pod when one changes.
const (
	annotationSecretsVersion = "basalt.dev/secrets-version"
	annotationConfigVersion  = "basalt.dev/config-version"
	annotationConfigFiles    = "basalt.dev/config-file-version"
)

// Versions name the state of the files that a pod reads at start.
type Versions struct {
	// Config is the version of the component's own configuration resource.
	Config string
	// Secrets and ConfigFiles are the versions of the rendered files.
	Secrets, ConfigFiles string
}

// SecretPath is where a secret file of a component is.
func SecretPath(component, file string) string { return path.Join(SecretsRoot, component, file) }

// ConfigPath is where a configuration file of a component is.
func ConfigPath(component, file string) string { return path.Join(ConfigRoot, component, file) }

// definition is what differs between the components.
type definition struct {
	name      string
	image     string
	command   []string
	user      int64
	env       []corev1.EnvVar
	volumes   []k8s.ExtraVolume
	resources corev1.ResourceRequirements
	versions  Versions
	probePort int
	livez     string
	readyz    string
	startup   bool
	// anonymous components tell everybody how they are.
	anonymous bool
	// capabilities are kept; all others are dropped.
	capabilities []corev1.Capability
}

func (d definition) pod() *corev1.Pod {
	labels := map[string]string{
		"tier":                         "control-plane",
		"k8s-app":                      d.name,
		"component":                    d.name,
		"app.kubernetes.io/name":       d.name,
		"app.kubernetes.io/component":  "control-plane",
		"app.kubernetes.io/managed-by": "Basalt",
	}

	container := corev1.Container{
		Name:         d.name,
		Image:        d.image,
		Command:      d.command,
		Env:          d.env,
		Resources:    d.resources,
		VolumeMounts: mounts(d.name, d.volumes),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			Capabilities: &corev1.Capabilities{
				Drop: []corev1.Capability{"ALL"},
				// The image's program may carry the file capability; without
				// it in the bounding set the program would not start.
				Add: d.capabilities,
			},
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
	d.probes(&container)

	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name:      d.name,
			Namespace: metav1.NamespaceSystem,
			Labels:    labels,
			Annotations: map[string]string{
				annotationConfigVersion:  d.versions.Config,
				annotationSecretsVersion: d.versions.Secrets,
				annotationConfigFiles:    d.versions.ConfigFiles,
			},
		},
		Spec: corev1.PodSpec{
			PriorityClassName: "system-cluster-critical",
			Priority:          new(int32(2000000000)),
			HostNetwork:       true,
			Containers:        []corev1.Container{container},
			Volumes:           volumes(d.name, d.volumes),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true),
				RunAsUser:    &d.user,
				RunAsGroup:   &d.user,
			},
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		},
	}
}

func (d definition) probes(container *corev1.Container) {
	const host = "127.0.0.1"

	probe := func(path string) *corev1.Probe {
		handler := corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: path, Host: host, Port: intstr.FromInt(d.probePort), Scheme: corev1.URISchemeHTTPS,
		}}
		if d.anonymous {
			return &corev1.Probe{ProbeHandler: handler, TimeoutSeconds: 15}
		}

		// The kubelet has no name to give: all it may see is the open port.
		return &corev1.Probe{
			ProbeHandler:   corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Host: host, Port: intstr.FromInt(d.probePort)}},
			TimeoutSeconds: 15,
		}
	}

	container.LivenessProbe = probe(d.livez)
	container.ReadinessProbe = probe(d.readyz)
	// A component that has just started is asked often, so that the node
	// shows it ready at once.
	container.ReadinessProbe.PeriodSeconds = 2

	if d.startup {
		container.StartupProbe = probe(d.livez)
		container.StartupProbe.PeriodSeconds = 1
		container.StartupProbe.FailureThreshold = 300
	}
}

func mounts(component string, extra []k8s.ExtraVolume) []corev1.VolumeMount {
	out := []corev1.VolumeMount{
		{Name: "secrets", MountPath: path.Join(SecretsRoot, component), ReadOnly: true},
		{Name: "config", MountPath: path.Join(ConfigRoot, component), ReadOnly: true},
	}

	for _, v := range extra {
		out = append(out, corev1.VolumeMount{Name: v.Name, MountPath: v.MountPath, ReadOnly: v.ReadOnly})
	}

	return out
}

func volumes(component string, extra []k8s.ExtraVolume) []corev1.Volume {
	hostPath := func(name, p string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: p}}}
	}

	out := []corev1.Volume{
		hostPath("secrets", path.Join(SecretsRoot, component)),
		hostPath("config", path.Join(ConfigRoot, component)),
	}

	for _, v := range extra {
		out = append(out, hostPath(v.Name, v.HostPath))
	}

	return out
}

// environment is the component's environment: the pod's own addresses first,
// so that flags may refer to them, then a memory limit for the runtime where
// the pod has one, then the user's.
func environment(extra map[string]string, limits map[string]string) []corev1.EnvVar {
	env := []corev1.EnvVar{{
		Name:      "POD_IP",
		ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "status.podIP"}},
	}}

	if limit, err := resource.ParseQuantity(limits["memory"]); err == nil && limits["memory"] != "" {
		env = append(env, corev1.EnvVar{Name: "GOMEMLIMIT", Value: fmt.Sprint(limit.Value() / 100 * 95)})
	}

	for _, name := range slices.Sorted(maps.Keys(extra)) {
		env = append(env, corev1.EnvVar{Name: name, Value: extra[name]})
	}

	return env
}

func requirements(r k8s.Resources, cpu, memory string) (corev1.ResourceRequirements, error) {
	out := corev1.ResourceRequirements{
		Requests: corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse(cpu),
			corev1.ResourceMemory: resource.MustParse(memory),
		},
	}

	for name, value := range r.Requests {
		quantity, err := resource.ParseQuantity(value)
		if err != nil {
			return out, fmt.Errorf("parsing the request of %s %q: %w", name, value, err)
		}

		out.Requests[corev1.ResourceName(name)] = quantity
	}

	for name, value := range r.Limits {
		quantity, err := resource.ParseQuantity(value)
		if err != nil {
			return out, fmt.Errorf("parsing the limit of %s %q: %w", name, value, err)
		}

		if out.Limits == nil {
			out.Limits = corev1.ResourceList{}
		}

		out.Limits[corev1.ResourceName(name)] = quantity
	}

	return out, nil
}

// Unstructured is the pod as plain maps, as the resource holds it.
func Unstructured(pod *corev1.Pod) (map[string]any, error) {
	u, err := runtime.DefaultUnstructuredConverter.ToUnstructured(pod)
	if err != nil {
		return nil, fmt.Errorf("converting pod %s: %w", pod.Name, err)
	}

	delete(u, "status")

	return u, nil
}
