package kubeaccess

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	discovery "k8s.io/client-go/applyconfigurations/discovery/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/k8s"
)

// The Service behind which pods find the API; the manifests make it.
const (
	serviceName      = "talos"
	serviceNamespace = metav1.NamespaceDefault
	apiPort          = 50000
	fieldManager     = "talos"
)

// Endpoints puts the control plane nodes behind the Service.
func Endpoints() reconcile.Controller {
	return derive.Act("kubeaccess.EndpointController", append(accessInputs(), reconcile.In[k8s.Endpoint]()), nil,
		func(ctx context.Context, rt *reconcile.Runtime) error {
			access, config, err := administrator(ctx, rt)
			if err != nil || access == nil {
				return err
			}

			endpoints, err := resource.List[k8s.Endpoint](ctx, rt)
			if err != nil {
				return err
			}

			var addresses []netip.Addr
			for _, e := range endpoints {
				addresses = append(addresses, e.Spec.Addresses...)
			}

			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				return fmt.Errorf("connecting to Kubernetes: %w", err)
			}

			return applySlices(ctx, rt, client, addresses)
		})
}

func applySlices(ctx context.Context, rt *reconcile.Runtime, client kubernetes.Interface, addresses []netip.Addr) error {
	api := client.DiscoveryV1().EndpointSlices(serviceNamespace)

	for family, list := range byFamily(addresses) {
		if len(list) == 0 {
			err := api.Delete(ctx, sliceName(family), metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				rt.RequeueAfter(retryPause)

				return reconcile.WaitingFor(resource.PointerOf[k8s.StaticPod](k8s.APIServerID), err.Error())
			}

			continue
		}

		_, err := api.Apply(ctx, slice(family, list), metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
		if err != nil {
			rt.RequeueAfter(retryPause)

			return reconcile.WaitingFor(resource.PointerOf[k8s.StaticPod](k8s.APIServerID), err.Error())
		}
	}

	return nil
}

// byFamily sorts addresses into those of IPv4 and of IPv6, each in order and
// once.
func byFamily(addresses []netip.Addr) map[discoveryv1.AddressType][]netip.Addr {
	families := map[discoveryv1.AddressType][]netip.Addr{discoveryv1.AddressTypeIPv4: nil, discoveryv1.AddressTypeIPv6: nil}

	for _, a := range addresses {
		family := discoveryv1.AddressTypeIPv6
		if a = a.Unmap(); a.Is4() {
			family = discoveryv1.AddressTypeIPv4
		}

		families[family] = append(families[family], a)
	}

	for family, list := range families {
		slices.SortFunc(list, netip.Addr.Compare)
		families[family] = slices.Compact(list)
	}

	return families
}

func sliceName(family discoveryv1.AddressType) string {
	return map[discoveryv1.AddressType]string{
		discoveryv1.AddressTypeIPv4: serviceName + "-ipv4", discoveryv1.AddressTypeIPv6: serviceName + "-ipv6",
	}[family]
}

func slice(family discoveryv1.AddressType, addresses []netip.Addr) *discovery.EndpointSliceApplyConfiguration {
	out := discovery.EndpointSlice(sliceName(family), serviceNamespace).
		WithLabels(map[string]string{
			discoveryv1.LabelServiceName: serviceName, discoveryv1.LabelManagedBy: "basalt",
		}).
		WithAddressType(family).
		WithPorts(discovery.EndpointPort().WithName("apid").WithPort(apiPort).WithProtocol("TCP"))

	for _, a := range addresses {
		out = out.WithEndpoints(discovery.Endpoint().WithAddresses(a.String()).
			WithConditions(discovery.EndpointConditions().WithReady(true)))
	}

	return out
}
