package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// filesPort is where agnhost's file server listens.
const filesPort = 8090

// files serves every file of its container, volumes included.
func files(mounts ...corev1.VolumeMount) corev1.Container {
	c := container("test-webserver", fmt.Sprintf("--port=%d", filesPort))
	c.Name, c.VolumeMounts = "files", mounts

	return c
}

// podsSeeTheirConfiguration gives a pod a ConfigMap and a Secret as variables
// and as files, a projected token, and a folder that its containers share.
func podsSeeTheirConfiguration(t *testing.T, c *cluster) {
	ns := c.namespace(t)

	if _, err := c.kube.CoreV1().ConfigMaps(ns).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"colour": "black"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	if _, err := c.kube.CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "keys"}, StringData: map[string]string{"word": "columnar"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	projected := corev1.VolumeMount{Name: "projected", MountPath: "/projected"}
	shared := corev1.VolumeMount{Name: "shared", MountPath: "/shared"}

	p := pod("reader", files(projected, shared))
	p.Spec.InitContainers = []corev1.Container{speaker(), writer(shared)}
	p.Spec.Volumes = []corev1.Volume{
		{Name: "shared", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}},
		{Name: "projected", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "keys"}}},
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", Audience: "story"}},
		}}}},
	}

	made := c.runPod(t, ns, p)

	logs, err := c.kube.CoreV1().Pods(ns).GetLogs(made.Name, &corev1.PodLogOptions{Container: "speaker"}).DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if want := "colour=black word=columnar"; !strings.Contains(string(logs), want) {
		t.Errorf("variables: got %q, want %q in it", logs, want)
	}

	for path, want := range map[string]string{
		"projected/colour": "black",
		"projected/word":   "columnar",
		"shared/written":   "mount-tester new file\n",
	} {
		eventually(t, podLimit, "content of "+path, func(ctx context.Context) error {
			return wants(want)(c.get(ctx, made, filesPort, path, nil))
		})
	}

	token, err := c.get(t.Context(), made, filesPort, "projected/token", nil)
	if err != nil {
		t.Fatal(err)
	}

	c.assertToken(t, token, "story", "system:serviceaccount:"+ns+":default")
}

// speaker prints variables.
func speaker() corev1.Container {
	c := container("entrypoint-tester", "colour=$(COLOUR) word=$(WORD)")
	c.Name = "speaker"
	c.Env = []corev1.EnvVar{
		{Name: "COLOUR", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}, Key: "colour",
		}}},
		{Name: "WORD", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: "keys"}, Key: "word",
		}}},
	}

	return c
}

// writer leaves a file in a shared folder.
func writer(shared corev1.VolumeMount) corev1.Container {
	c := container("mounttest", "--new_file_0644=/shared/written")
	c.Name, c.VolumeMounts = "writer", []corev1.VolumeMount{shared}

	return c
}

// assertToken asks the API server whom a token is from.
func (c *cluster) assertToken(t *testing.T, token, audience, user string) {
	t.Helper()

	review, err := c.kube.AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{audience}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}

	if !review.Status.Authenticated || review.Status.User.Username != user {
		t.Errorf("token: got user %q (%s), want %q", review.Status.User.Username, review.Status.Error, user)
	}
}

// probesAct looks at what comes of probes: a pod becomes ready when its probe
// says so, and a container whose liveness probe fails is started again.
func probesAct(t *testing.T, c *cluster) {
	ns := c.namespace(t)

	probe := func(path string, port int32) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler:     corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(port)}},
			PeriodSeconds:    1,
			FailureThreshold: 1,
		}
	}

	// The file server has no such file until somebody makes it.
	ready := files(corev1.VolumeMount{Name: "shared", MountPath: "/shared"})
	ready.StartupProbe = probe("/agnhost-2", filesPort)
	ready.StartupProbe.FailureThreshold = 30
	ready.ReadinessProbe = probe("/shared/ready", filesPort)

	readiness := pod("readiness", ready)
	readiness.Spec.Volumes = []corev1.Volume{{Name: "shared", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}

	// This server is well for ten seconds.
	alive := container("liveness")
	alive.LivenessProbe = probe("/healthz", netexecPort)

	for _, p := range []*corev1.Pod{readiness, pod("liveness", alive)} {
		if _, err := c.kube.CoreV1().Pods(ns).Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}

	started := c.awaitPod(t, ns, "readiness", "started", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].Started != nil && *p.Status.ContainerStatuses[0].Started
	})
	if podReady(started) {
		t.Error("the pod is ready before its probe says so")
	}

	if out, err := c.kubectl(t.Context(), "exec", "-n", ns, "readiness", "--", "/agnhost", "mounttest", "--new_file_0644=/shared/ready"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	c.awaitPod(t, ns, "readiness", "ready", podReady)
	c.awaitPod(t, ns, "liveness", "restarted", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].RestartCount > 0
	})
}

// rollingUpdate replaces all pods of a Deployment while somebody asks its
// Service all the time, and gets an answer every time.
func rollingUpdate(t *testing.T, c *cluster) {
	ns := c.namespace(t)

	d := deployment("web", 2, podSpec(server()))
	grace := int64(15)
	zero, one := intstr.FromInt32(0), intstr.FromInt32(1)
	d.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxUnavailable: &zero, MaxSurge: &one}
	d.Spec.Template.Spec.TerminationGracePeriodSeconds = &grace
	// A pod that is told to end serves on until every node knows it.
	d.Spec.Template.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}}
	c.deploy(t, ns, d)

	service, err := c.kube.CoreV1().Services(ns).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{
			Type:     corev1.ServiceTypeNodePort,
			Selector: d.Spec.Selector.MatchLabels,
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(netexecPort)}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}

	url := fmt.Sprintf("http://%s:%d/hostname", c.worker().Address, service.Spec.Ports[0].NodePort)

	eventually(t, podLimit, "service before the update", func(ctx context.Context) error {
		return wantsPrefix("web-")(fetch(ctx, url))
	})

	before := c.podNames(t, ns, "app=web")
	stop := probe(t, func(ctx context.Context) error { return wantsPrefix("web-")(fetch(ctx, url)) })

	patch := []byte(`{"spec":{"template":{"metadata":{"annotations":{"edition":"2"}}}}}`)
	if _, err := c.kube.AppsV1().Deployments(ns).Patch(t.Context(), "web", "application/strategic-merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}

	c.awaitDeployment(t, ns, "web")

	answers, failures := stop()
	if len(failures) > 0 || answers == 0 {
		t.Errorf("of %d questions during the update these were not answered: %v", answers+len(failures), failures)
	}

	for _, name := range c.podNames(t, ns, "app=web,edition!=1") {
		if slices.Contains(before, name) {
			pod, err := c.kube.CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})
			if err == nil && pod.DeletionTimestamp == nil {
				t.Errorf("pod %s is still there after the update", name)
			}
		}
	}
}

func (c *cluster) podNames(t *testing.T, namespace, selector string) []string {
	t.Helper()

	list, err := c.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}

	var names []string
	for _, pod := range list.Items {
		names = append(names, pod.Name)
	}

	return names
}

// probe asks the same question again and again until the returned function is
// called, which tells how many answers there were and what went wrong.
func probe(t *testing.T, ask func(context.Context) error) (stop func() (answers int, failures []error)) {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())

	var (
		wg       sync.WaitGroup
		answers  int
		failures []error
	)

	wg.Go(func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()

		for {
			attempt, done := context.WithTimeout(ctx, 10*time.Second)
			err := ask(attempt)

			done()

			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				failures = append(failures, fmt.Errorf("%s: %w", time.Now().Format("15:04:05.000"), err))
			default:
				answers++
			}

			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})

	stop = sync.OnceValues(func() (int, []error) {
		cancel()
		wg.Wait()

		return answers, failures
	})

	t.Cleanup(func() { stop() })

	return stop
}

// jobEnds runs a Job whose pods do their work and end.
func jobEnds(t *testing.T, c *cluster) {
	ns := c.namespace(t)
	two := int32(2)

	spec := podSpec(container("entrypoint-tester", "done"))
	spec.RestartPolicy = corev1.RestartPolicyNever

	if _, err := c.kube.BatchV1().Jobs(ns).Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "work"},
		Spec:       batchv1.JobSpec{Completions: &two, Parallelism: &two, Template: corev1.PodTemplateSpec{Spec: spec}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	eventually(t, podLimit, "job", func(ctx context.Context) error {
		job, err := c.kube.BatchV1().Jobs(ns).Get(ctx, "work", metav1.GetOptions{})
		if err == nil && (job.Status.Succeeded != two || job.Status.CompletionTime == nil) {
			err = fmt.Errorf("%d of %d pods succeeded, %d failed", job.Status.Succeeded, two, job.Status.Failed)
		}

		return err
	})
}

// daemonSetRunsOnEveryNode runs one pod per node.
func daemonSetRunsOnEveryNode(t *testing.T, c *cluster) {
	ns := c.namespace(t)
	labels := map[string]string{"app": "everywhere"}

	if _, err := c.kube.AppsV1().DaemonSets(ns).Create(t.Context(), &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "everywhere"},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: podSpec(server())},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	eventually(t, podLimit, "pods of the daemon set", func(ctx context.Context) error {
		list, err := c.kube.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=everywhere"})
		if err != nil {
			return err
		}

		var ready []string

		for i := range list.Items {
			if podReady(&list.Items[i]) {
				ready = append(ready, list.Items[i].Spec.NodeName)
			}
		}

		var want []string
		for _, node := range c.spec.Nodes {
			want = append(want, node.Name)
		}

		slices.Sort(ready)
		slices.Sort(want)

		if !slices.Equal(ready, want) {
			return fmt.Errorf("ready on %v, want %v", ready, want)
		}

		return nil
	})
}

// drainKeepsTheBudget empties the worker with kubectl while a
// PodDisruptionBudget wants one of two pods to be there all the time.
func drainKeepsTheBudget(t *testing.T, c *cluster) {
	ns := c.namespace(t)

	d := deployment("web", 2, podSpec(server()))
	d.Spec.Template.Spec.NodeSelector = map[string]string{"kubernetes.io/hostname": c.worker().Name}
	c.deploy(t, ns, d)

	both := intstr.FromInt32(2)
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &both, Selector: d.Spec.Selector},
	}

	if _, err := c.kube.PolicyV1().PodDisruptionBudgets(ns).Create(t.Context(), budget, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	c.awaitBudget(t, ns, 2)

	// While both are wanted nobody can be evicted.
	victim := c.podNames(t, ns, "app=web")[0]

	err := c.kube.PolicyV1().Evictions(ns).Evict(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: victim, Namespace: ns}})
	if !apierrors.IsTooManyRequests(err) {
		t.Fatalf("evicting a pod that is needed: got %v, want too many requests", err)
	}

	// From now on new pods may run elsewhere, and one is enough.
	patch := []byte(`{"spec":{"minAvailable":1}}`)
	if _, err := c.kube.PolicyV1().PodDisruptionBudgets(ns).Patch(t.Context(), "web", "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}

	stop := probe(t, func(ctx context.Context) error { return c.available(ctx, ns, "web", 1) })
	done := make(chan error, 1)

	go func() {
		out, err := c.kubectl(t.Context(), "drain", c.worker().Name, "--ignore-daemonsets", "--delete-emptydir-data", "--pod-selector=app=web", "--timeout=120s")
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}

		done <- err
	}()

	t.Cleanup(func() {
		if out, err := c.kubectl(context.Background(), "uncordon", c.worker().Name); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})

	// The drain cannot go on before a pod runs elsewhere.
	eventually(t, podLimit, "worker to be cordoned", func(ctx context.Context) error {
		node, err := c.kube.CoreV1().Nodes().Get(ctx, c.worker().Name, metav1.GetOptions{})
		if err == nil && !node.Spec.Unschedulable {
			err = errors.New("it is schedulable")
		}

		return err
	})

	unpin := []byte(`{"spec":{"strategy":{"rollingUpdate":{"maxUnavailable":0,"maxSurge":1}},"template":{"spec":{"nodeSelector":null}}}}`)
	if _, err := c.kube.AppsV1().Deployments(ns).Patch(t.Context(), "web", "application/strategic-merge-patch+json", unpin, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}

	if err := <-done; err != nil {
		t.Fatalf("draining: %v", err)
	}

	if checks, failures := stop(); len(failures) > 0 || checks == 0 {
		t.Errorf("of %d looks during the drain these found too few pods: %v", checks+len(failures), failures)
	}

	list, err := c.kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=web", FieldSelector: "spec.nodeName=" + c.worker().Name})
	if err != nil || len(list.Items) > 0 {
		t.Errorf("after the drain there are %d pods on the worker: %v", len(list.Items), err)
	}
}

func (c *cluster) awaitBudget(t *testing.T, namespace string, healthy int32) {
	t.Helper()

	eventually(t, podLimit, "disruption budget", func(ctx context.Context) error {
		budget, err := c.kube.PolicyV1().PodDisruptionBudgets(namespace).Get(ctx, "web", metav1.GetOptions{})
		if err == nil && (budget.Status.ObservedGeneration < budget.Generation || budget.Status.CurrentHealthy != healthy) {
			err = fmt.Errorf("%d of %d are healthy", budget.Status.CurrentHealthy, healthy)
		}

		return err
	})
}

// available says whether at least so many pods of an app are ready.
func (c *cluster) available(ctx context.Context, namespace, app string, want int) error {
	list, err := c.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		return err
	}

	ready := 0

	for i := range list.Items {
		if podReady(&list.Items[i]) {
			ready++
		}
	}

	if ready < want {
		return fmt.Errorf("%d pods are ready, want %d", ready, want)
	}

	return nil
}

// staticPodComesBack deletes the pod object that stands for a static pod.
func staticPodComesBack(t *testing.T, c *cluster) {
	pods := c.kube.CoreV1().Pods("kube-system")
	name := "kube-scheduler-" + c.controlPlane().Name

	before, err := pods.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}

	if err := pods.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}

	after := c.awaitPod(t, "kube-system", name, "back", func(p *corev1.Pod) bool { return p.UID != before.UID && podReady(p) })
	if hash := "kubernetes.io/config.hash"; after.Annotations[hash] != before.Annotations[hash] {
		t.Errorf("another pod came back: %q, want %q", after.Annotations[hash], before.Annotations[hash])
	}
}
