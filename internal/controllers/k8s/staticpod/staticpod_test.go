package staticpod_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/basalt-os/basalt/internal/controllers/k8s/staticpod"
	"github.com/basalt-os/basalt/internal/resources/k8s"
)

func extra(name string, values ...string) map[string]k8s.ArgValues {
	return map[string]k8s.ArgValues{name: {Values: values}}
}

func TestAPIServerArguments(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		name          string
		config        k8s.APIServerConfig
		has, lacks    []string
		tcp, hasError bool
	}{
		{
			name: "with an authentication file", config: k8s.APIServerConfig{UseAuthenticationConfig: true},
			has:   []string{"--authentication-config=/system/config/kubernetes/kube-apiserver/authentication-config.yaml", "--tls-min-version=VersionTLS13"},
			lacks: []string{"--anonymous-auth"},
		},
		{
			name: "without one", tcp: true,
			has: []string{"--anonymous-auth=false", "--service-account-issuer=https://a", "--service-account-issuer=https://b"}, lacks: []string{"--authentication-config"},
		},
		{
			name: "authorization by flag", config: k8s.APIServerConfig{ExtraArgs: extra("authorization-mode", "RBAC")}, tcp: true,
			has: []string{"--authorization-mode=RBAC"}, lacks: []string{"--authorization-config"},
		},
		{
			name: "another admission plugin", config: k8s.APIServerConfig{ExtraArgs: extra("enable-admission-plugins", "EventRateLimit")}, tcp: true,
			has: []string{"--enable-admission-plugins=NodeRestriction,EventRateLimit"},
		},
		{name: "a flag of the system", config: k8s.APIServerConfig{ExtraArgs: extra("etcd-servers", "x")}, hasError: true},
		{name: "a broken quantity", config: k8s.APIServerConfig{Resources: k8s.Resources{Limits: map[string]string{"memory": "much"}}}, hasError: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			account := staticpod.ServiceAccount{Issuers: []string{"https://a", "https://b"}}

			pod, err := staticpod.NewAPIServer(test.config, account, staticpod.Versions{})
			if (err != nil) != test.hasError {
				t.Fatalf("error = %v, want one: %v", err, test.hasError)
			}

			if err != nil {
				return
			}

			command := pod.Spec.Containers[0].Command

			for _, flag := range test.has {
				if !slices.Contains(command, flag) {
					t.Errorf("%s is missing in %v", flag, command)
				}
			}

			for _, flag := range test.lacks {
				if slices.ContainsFunc(command, func(c string) bool { return strings.HasPrefix(c, flag+"=") }) {
					t.Errorf("%s is there", flag)
				}
			}

			if tcp := pod.Spec.Containers[0].LivenessProbe.TCPSocket != nil; tcp != test.tcp {
				t.Errorf("probed at the port alone: %v, want %v", tcp, test.tcp)
			}
		})
	}
}

func TestControllerManagerMaskSizes(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		name string
		pods []string
		want []string
	}{
		{"IPv4", []string{"10.244.0.0/16"}, []string{"--node-cidr-mask-size=25"}},
		{"IPv6", []string{"fd00::/48"}, []string{"--node-cidr-mask-size=80"}},
		{"both", []string{"10.244.0.0/16", "fd00::/48"}, []string{"--node-cidr-mask-size-ipv4=25", "--node-cidr-mask-size-ipv6=80"}},
	} {
		pod, err := staticpod.NewControllerManager(k8s.ControllerManagerConfig{
			PodCIDRs: test.pods, NodeCIDRMaskSizeIPv4: 25, NodeCIDRMaskSizeIPv6: 80,
		}, staticpod.Versions{})
		if err != nil {
			t.Fatal(err)
		}

		got := slices.DeleteFunc(slices.Clone(pod.Spec.Containers[0].Command), func(c string) bool {
			return !strings.HasPrefix(c, "--node-cidr-mask-size")
		})
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// TestPodsChangeWithTheirFiles: the kubelet replaces a pod only when the pod
// itself changes.
func TestPodsChangeWithTheirFiles(t *testing.T) {
	t.Parallel()

	config := k8s.SchedulerConfig{Resources: k8s.Resources{Limits: map[string]string{"memory": "100Mi"}}}

	build := func(versions staticpod.Versions) map[string]any {
		pod, err := staticpod.NewScheduler(config, versions)
		if err != nil {
			t.Fatal(err)
		}

		if user := *pod.Spec.SecurityContext.RunAsUser; user != staticpod.SchedulerUser {
			t.Errorf("it runs as user %d", user)
		}

		if !slices.ContainsFunc(pod.Spec.Containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == "GOMEMLIMIT" }) {
			t.Error("the runtime does not know the memory limit")
		}

		object, err := staticpod.Unstructured(pod)
		if err != nil {
			t.Fatal(err)
		}

		return object
	}

	base := build(staticpod.Versions{Config: "1", Secrets: "a", ConfigFiles: "x"})
	if !cmp.Equal(base, build(staticpod.Versions{Config: "1", Secrets: "a", ConfigFiles: "x"})) {
		t.Error("the same files make another pod")
	}

	for _, versions := range []staticpod.Versions{
		{Config: "2", Secrets: "a", ConfigFiles: "x"}, {Config: "1", Secrets: "b", ConfigFiles: "x"}, {Config: "1", Secrets: "a", ConfigFiles: "y"},
	} {
		if cmp.Equal(base, build(versions)) {
			t.Errorf("versions %+v make the same pod", versions)
		}
	}
}
