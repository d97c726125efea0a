package k8s

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/k8s"
)

// view is what the Kubernetes API tells of one kind of object that belongs to
// the node, kept up to date while it runs.
type view struct {
	logger *slog.Logger
	// list returns what to watch, for the node's name.
	list func(client kubernetes.Interface, nodename string) (runtime.Object, cache.ListerWatcher)

	mu      sync.Mutex
	source  string // of what follows
	config  *rest.Config
	node    string
	store   cache.Store
	changed chan struct{}
}

func newView(logger *slog.Logger, list func(kubernetes.Interface, string) (runtime.Object, cache.ListerWatcher)) *view {
	return &view{logger: logger, list: list, changed: make(chan struct{}, 1)}
}

// follow has the view show the objects of a node as seen with a client
// configuration.
func (v *view) follow(cfg *rest.Config, node string) {
	source := fmt.Sprint(cfg.Host, node, len(cfg.CAData), string(cfg.CertData), cfg.CertFile)

	v.mu.Lock()
	defer v.mu.Unlock()

	if v.source == source {
		return
	}

	v.source, v.config, v.node, v.store = source, cfg, node, nil

	select {
	case v.changed <- struct{}{}:
	default:
	}
}

// objects are those known now.
func (v *view) objects() []any {
	v.mu.Lock()
	defer v.mu.Unlock()

	if v.store == nil {
		return nil
	}

	return v.store.List()
}

// run watches until ctx ends.
func (v *view) run(ctx context.Context, notify func()) error {
	for {
		v.mu.Lock()
		cfg, node := v.config, v.node
		v.mu.Unlock()

		watching, stop := context.WithCancel(ctx)

		var wg sync.WaitGroup

		if cfg != nil {
			// A watch lasts longer than a call.
			cfg = rest.CopyConfig(cfg)
			cfg.Timeout = 0

			client, err := kubernetes.NewForConfig(cfg)
			if err != nil {
				stop()

				return fmt.Errorf("connecting to Kubernetes: %w", err)
			}

			object, source := v.list(client, node)
			store, controller := cache.NewInformerWithOptions(cache.InformerOptions{
				ListerWatcher: source,
				ObjectType:    object,
				Handler: cache.ResourceEventHandlerFuncs{
					AddFunc:    func(any) { notify() },
					UpdateFunc: func(any, any) { notify() },
					DeleteFunc: func(any) { notify() },
				},
			})

			v.mu.Lock()
			v.store = store
			v.mu.Unlock()

			wg.Go(func() { controller.RunWithContext(watching) })
		}

		select {
		case <-ctx.Done():
		case <-v.changed:
		}

		stop()
		wg.Wait()

		if ctx.Err() != nil {
			return nil
		}
	}
}

// observeInputs are what a controller needs to follow the node's objects.
func observeInputs() []reconcile.Input {
	return append([]reconcile.Input{derive.In[k8s.Nodename](k8s.NodenameID)}, credentialInputs()...)
}

// followNode points a view at the node's own objects.
func followNode(ctx context.Context, rt *reconcile.Runtime, v *view, files KubeletFiles) error {
	name, err := derive.Need[k8s.Nodename](ctx, rt, k8s.NodenameID)
	if err != nil {
		return err
	}

	cfg, err := nodeConfig(ctx, rt, files)
	if err != nil {
		return err
	}

	v.follow(cfg, name.Spec.Nodename)

	return nil
}

// NodeStatus shows the Node object.
func NodeStatus(files KubeletFiles, logger *slog.Logger) reconcile.Controller {
	v := newView(logger, func(client kubernetes.Interface, node string) (runtime.Object, cache.ListerWatcher) {
		nodes := client.CoreV1().Nodes()
		selector := fields.OneTermEqualSelector("metadata.name", node).String()

		return &corev1.Node{}, &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				o.FieldSelector = selector

				return nodes.List(ctx, o)
			},
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				o.FieldSelector = selector

				return nodes.Watch(ctx, o)
			},
		}
	})

	controller := derive.All("k8s.NodeStatusController", observeInputs(),
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]k8s.NodeStatus, error) {
			if err := followNode(ctx, rt, v, files); err != nil {
				return nil, err
			}

			out := map[string]k8s.NodeStatus{}

			for _, o := range v.objects() {
				if node, ok := o.(*corev1.Node); ok {
					out[node.Name] = nodeStatus(node)
				}
			}

			return out, nil
		})

	return derive.Watched(controller, v.run)
}

func nodeStatus(node *corev1.Node) k8s.NodeStatus {
	status := k8s.NodeStatus{
		Nodename: node.Name, Unschedulable: node.Spec.Unschedulable, Labels: node.Labels, Annotations: node.Annotations,
	}

	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			status.NodeReady = c.Status == corev1.ConditionTrue
		}
	}

	for _, cidr := range node.Spec.PodCIDRs {
		if p, err := netip.ParsePrefix(cidr); err == nil {
			status.PodCIDRs = append(status.PodCIDRs, p)
		}
	}

	return status
}

// StaticPodStatus shows the static pods of the node as the Kubernetes API has
// them.
func StaticPodStatus(files KubeletFiles, logger *slog.Logger) reconcile.Controller {
	v := newView(logger, func(client kubernetes.Interface, node string) (runtime.Object, cache.ListerWatcher) {
		pods := client.CoreV1().Pods(metav1.NamespaceAll)
		selector := fields.OneTermEqualSelector("spec.nodeName", node).String()

		return &corev1.Pod{}, &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				o.FieldSelector = selector

				return pods.List(ctx, o)
			},
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				o.FieldSelector = selector

				return pods.Watch(ctx, o)
			},
		}
	})

	controller := derive.All("k8s.KubeletStaticPodController", observeInputs(),
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]k8s.StaticPodStatus, error) {
			if err := followNode(ctx, rt, v, files); err != nil {
				return nil, err
			}

			out := map[string]k8s.StaticPodStatus{}

			for _, o := range v.objects() {
				pod, ok := o.(*corev1.Pod)
				if !ok || pod.Annotations[corev1.MirrorPodAnnotationKey] == "" {
					continue
				}

				status, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&pod.Status)
				if err != nil {
					return nil, fmt.Errorf("converting the status of pod %s: %w", pod.Name, err)
				}

				out[pod.Namespace+"/"+pod.Name] = k8s.StaticPodStatus{PodStatus: status}
			}

			return out, nil
		})

	return derive.Watched(controller, v.run)
}
