package kubeaccess

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/secrets"
)

var accountResource = schema.GroupVersionResource{Group: "talos.dev", Version: "v1alpha1", Resource: "serviceaccounts"}

// accounts follows the ServiceAccount objects of the cluster.
type accounts struct {
	logger *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	source  string // of what follows
	config  *rest.Config
	store   cache.Store
	changed chan struct{}
}

// Accounts answers ServiceAccount objects with secrets. All control plane nodes
// do so: whoever comes first writes, and the others find it done.
func Accounts(now func() time.Time, logger *slog.Logger) reconcile.Controller {
	a := &accounts{logger: logger, now: now, changed: make(chan struct{}, 1)}

	inputs := append(accessInputs(),
		derive.In[secrets.OSRoot](secrets.OSRootID), derive.In[secrets.KubernetesRoot](secrets.KubernetesRootID))

	return derive.Watched(derive.Act("kubeaccess.CRDController", inputs, nil, a.reconcile), a.run)
}

func (a *accounts) reconcile(ctx context.Context, rt *reconcile.Runtime) error {
	access, config, err := administrator(ctx, rt)
	if err != nil {
		return err
	}

	if access == nil {
		a.follow(nil)

		return nil
	}

	root, err := derive.Need[secrets.OSRoot](ctx, rt, secrets.OSRootID)
	if err != nil {
		return err
	}

	cluster, err := derive.Need[secrets.KubernetesRoot](ctx, rt, secrets.KubernetesRootID)
	if err != nil {
		return err
	}

	issuer, err := newIssuer(*access, cluster.Spec.Name, root.Spec, a.now())
	if err != nil {
		return err
	}

	dynamicClient, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connecting to Kubernetes: %w", err)
	}

	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connecting to Kubernetes: %w", err)
	}

	a.follow(config)

	var errs []error

	for _, object := range a.objects() {
		if err := answer(ctx, issuer, client, dynamicClient, object); err != nil {
			errs = append(errs, fmt.Errorf("answering service account %s/%s: %w", object.GetNamespace(), object.GetName(), err))
		}
	}

	rt.RequeueAfter(issuer.wait())

	return errors.Join(errs...)
}

// answer makes the secret of one object what it should be, or says in its
// status why there is none.
func answer(
	ctx context.Context, i *issuer, client kubernetes.Interface, dynamicClient dynamic.Interface, object *unstructured.Unstructured,
) error {
	if object.GetDeletionTimestamp() != nil {
		return nil
	}

	roles, _, err := unstructured.NestedStringSlice(object.Object, "spec", "roles")
	if err != nil {
		return tell(ctx, dynamicClient, object, "spec.roles is not a list of texts")
	}

	if reason := i.refuses(object.GetNamespace(), roles); reason != "" {
		return tell(ctx, dynamicClient, object, reason)
	}

	api := client.CoreV1().Secrets(object.GetNamespace())

	current, err := api.Get(ctx, object.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		current = nil
	} else if err != nil {
		return fmt.Errorf("reading its secret: %w", err)
	}

	if current != nil && !metav1.IsControlledBy(current, object) {
		return tell(ctx, dynamicClient, object, "there is a secret of this name already, which is not of this service account")
	}

	if current != nil && i.fresh(current.Data[secretKey], roles) {
		return tell(ctx, dynamicClient, object, "")
	}

	text, err := i.issue(roles)
	if err != nil {
		return err
	}

	if err := write(ctx, client, object, current, text); err != nil {
		return err
	}

	return tell(ctx, dynamicClient, object, "")
}

// secretKey is the file of the secret with the client configuration.
const secretKey = "config"

// write creates or replaces the secret. Another node may be faster, which is as
// good.
func write(ctx context.Context, client kubernetes.Interface, object *unstructured.Unstructured, current *corev1.Secret, text []byte) error {
	api := client.CoreV1().Secrets(object.GetNamespace())

	if current == nil {
		_, err := api.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: object.GetNamespace(), Name: object.GetName(),
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(object, object.GroupVersionKind())},
			},
			Data: map[string][]byte{secretKey: text},
		}, metav1.CreateOptions{FieldManager: fieldManager})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating its secret: %w", err)
		}

		return nil
	}

	next := current.DeepCopy()
	next.Data = map[string][]byte{secretKey: text}

	_, err := api.Update(ctx, next, metav1.UpdateOptions{FieldManager: fieldManager})
	if err != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("updating its secret: %w", err)
	}

	return nil
}

// tell writes the reason of a failure, empty for none, into the status of an
// object that says something else.
func tell(ctx context.Context, client dynamic.Interface, object *unstructured.Unstructured, reason string) error {
	said, _, err := unstructured.NestedString(object.Object, "status", "failureReason")
	if err == nil && said == reason {
		return nil
	}

	patch, err := json.Marshal(map[string]any{"status": map[string]any{"failureReason": reason}})
	if err != nil {
		return err
	}

	_, err = client.Resource(accountResource).Namespace(object.GetNamespace()).
		Patch(ctx, object.GetName(), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager}, "status")
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("writing its status: %w", err)
	}

	return nil
}

// follow has the objects watched with a client configuration; nil for none.
func (a *accounts) follow(config *rest.Config) {
	source := ""
	if config != nil {
		source = config.Host + string(config.CAData) + string(config.CertData)
	}

	a.mu.Lock()
	defer a.mu.Unlock()

	if a.source == source {
		return
	}

	a.source, a.config, a.store = source, config, nil

	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// objects are those known now.
func (a *accounts) objects() []*unstructured.Unstructured {
	a.mu.Lock()
	defer a.mu.Unlock()

	if a.store == nil {
		return nil
	}

	var list []*unstructured.Unstructured

	for _, object := range a.store.List() {
		if account, ok := object.(*unstructured.Unstructured); ok {
			list = append(list, account)
		}
	}

	return list
}

// run watches until ctx ends.
func (a *accounts) run(ctx context.Context, notify func()) error {
	for {
		watching, stop := context.WithCancel(ctx)

		var wg sync.WaitGroup

		if err := a.watch(watching, &wg, notify); err != nil {
			stop()

			return err
		}

		select {
		case <-ctx.Done():
		case <-a.changed:
		}

		stop()
		wg.Wait()

		if ctx.Err() != nil {
			return nil
		}
	}
}

func (a *accounts) watch(ctx context.Context, wg *sync.WaitGroup, notify func()) error {
	a.mu.Lock()
	config := a.config
	a.mu.Unlock()

	if config == nil {
		return nil
	}

	// A watch lasts longer than a call.
	config = rest.CopyConfig(config)
	config.Timeout = 0

	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connecting to Kubernetes: %w", err)
	}

	informer := dynamicinformer.NewFilteredDynamicInformer(client, accountResource, metav1.NamespaceAll, 0, cache.Indexers{}, nil).Informer()

	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		UpdateFunc: func(any, any) { notify() },
		DeleteFunc: func(any) { notify() },
	}); err != nil {
		return fmt.Errorf("following service accounts: %w", err)
	}

	a.mu.Lock()
	a.store = informer.GetStore()
	a.mu.Unlock()

	wg.Go(func() { informer.RunWithContext(ctx) })

	return nil
}
