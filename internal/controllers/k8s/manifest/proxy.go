package manifest

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

const (
	proxyConfigMap = "kube-proxy-config"
	// checksumAnnotation restarts the pods when their configuration changes.
	checksumAnnotation = "basalt.dev/config-checksum"
)

// proxy is kube-proxy as a DaemonSet on every node. Its flags, or its
// configuration file, are complete in the configuration.
func proxy(p Parameters) ([]runtime.Object, error) {
	labels := map[string]string{"tier": "node", "k8s-app": "kube-proxy"}

	container := corev1.Container{
		Name:            "kube-proxy",
		Image:           p.Config.ProxyImage,
		Command:         append([]string{"/usr/local/bin/kube-proxy"}, p.Config.ProxyArgs...),
		Env:             []corev1.EnvVar{fieldEnv("NODE_NAME", "spec.nodeName"), fieldEnv("POD_IP", "status.podIP")},
		Resources:       requirements(p.Config.ProxyResources, corev1.ResourceList{}),
		SecurityContext: &corev1.SecurityContext{Privileged: new(true)},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "kubeconfig", MountPath: "/etc/kubernetes", ReadOnly: true},
			{Name: "lib-modules", MountPath: "/lib/modules", ReadOnly: true},
		},
	}

	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec: corev1.PodSpec{
			HostNetwork:        true,
			PriorityClassName:  "system-node-critical",
			ServiceAccountName: "kube-proxy",
			Tolerations:        tolerateAll(),
			Volumes: []corev1.Volume{
				configMapVolume("kubeconfig", "kubeconfig-in-cluster"),
				hostPathVolume("lib-modules", "/lib/modules", corev1.HostPathDirectoryOrCreate),
			},
		},
	}

	objects := []runtime.Object{
		serviceAccount("kube-proxy"),
		clusterRoleBinding("system:kube-proxy", "system:node-proxier", accountSubject("kube-proxy")),
	}

	if len(p.Config.ProxyConfig) > 0 {
		text, err := yaml.Marshal(p.Config.ProxyConfig)
		if err != nil {
			return nil, fmt.Errorf("rendering kube-proxy configuration: %w", err)
		}

		objects = append(objects, &corev1.ConfigMap{
			TypeMeta:   kind("", "v1", "ConfigMap"),
			ObjectMeta: inSystem(proxyConfigMap, nil),
			Data:       map[string]string{"config.yaml": string(text)},
		})

		template.Annotations = map[string]string{checksumAnnotation: p.Config.ProxyConfigChecksum}
		template.Spec.Volumes = append(template.Spec.Volumes, configMapVolume("config", proxyConfigMap))
		container.VolumeMounts = append(container.VolumeMounts,
			corev1.VolumeMount{Name: "config", MountPath: "/var/lib/kube-proxy", ReadOnly: true})
	}

	template.Spec.Containers = []corev1.Container{container}

	return append(objects, daemonSet("kube-proxy", labels, template)), nil
}

func daemonSet(name string, labels map[string]string, template corev1.PodTemplateSpec) *appsv1.DaemonSet {
	return &appsv1.DaemonSet{
		TypeMeta:   kind("apps", "v1", "DaemonSet"),
		ObjectMeta: inSystem(name, labels),
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			UpdateStrategy: appsv1.DaemonSetUpdateStrategy{
				Type:          appsv1.RollingUpdateDaemonSetStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: new(intstr.FromInt32(1))},
			},
			Template: template,
		},
	}
}

func fieldEnv(name, path string) corev1.EnvVar {
	return corev1.EnvVar{
		Name:      name,
		ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}},
	}
}

func tolerateAll() []corev1.Toleration {
	return []corev1.Toleration{
		{Effect: corev1.TaintEffectNoSchedule, Operator: corev1.TolerationOpExists},
		{Effect: corev1.TaintEffectNoExecute, Operator: corev1.TolerationOpExists},
	}
}

func configMapVolume(name, configMap string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: configMap}},
	}}
}

func hostPathVolume(name, path string, pathType corev1.HostPathType) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &pathType},
	}}
}
