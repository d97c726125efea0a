package platform

import (
	"io/fs"
	"sync"
	"testing"

	"github.com/basalt-os/basalt/internal/reconcile/reconciletest"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

const example = `addresses:
    - address: 147.75.61.43/31
      linkName: bond0
      family: inet4
      scope: global
      flags: permanent
      layer: platform
links:
    - name: bond0
      logical: true
      up: true
      mtu: 0
      kind: bond
      type: ether
      bondMaster:
        mode: 802.3ad
        xmitHashPolicy: layer3+4
        lacpRate: slow
        miimon: 100
      layer: platform
routes:
    - family: inet4
      dst: ""
      src: ""
      gateway: 147.75.61.42
      outLinkName: bond0
      table: main
      priority: 1024
      scope: global
      type: unicast
      flags: ""
      protocol: static
      layer: platform
hostnames:
    - hostname: ci-blue-worker
      domainname: ""
      layer: platform
resolvers: []
timeServers: []
operators:
    - operator: dhcp4
      linkName: eth1
      requireUp: true
      layer: default
externalIPs:
    - 203.0.113.7
`

func TestParse(t *testing.T) {
	t.Parallel()

	config, err := Parse([]byte(example))
	if err != nil {
		t.Fatal(err)
	}

	specs := Specs(config)
	if len(specs.Links) != 1 || specs.Links[0].BondMaster.Mode != network.BondMode8023AD || specs.Routes[0].Gateway.String() != "147.75.61.42" {
		t.Errorf("specs %+v", specs)
	}

	// Whatever the text says, the platform speaks for its own layer.
	if specs.Operators[0].ConfigLayer != network.ConfigLayerPlatform {
		t.Errorf("layer %s", specs.Operators[0].ConfigLayer)
	}

	if _, err := Parse([]byte("addresses: [{addresss: 10.0.0.1/8}]")); err == nil {
		t.Error("a field that does not exist was taken")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("links: [{name: eth0, hardwareAddr: zz}]"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		if config, err := Parse(text); err == nil {
			Specs(config)
		}
	})
}

// memory is a cache that is there once its folder is mounted.
type memory struct {
	mu    sync.Mutex
	text  []byte
	saved chan struct{} // closed by the first Save; may be nil
}

func (*memory) Ready(mounts []*resource.Resource[block.MountStatus]) bool { return len(mounts) > 0 }

func (m *memory) Load() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()

	if m.text == nil {
		return nil, fs.ErrNotExist
	}

	return m.text, nil
}

func (m *memory) Save(text []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()

	if m.text == nil && m.saved != nil {
		close(m.saved)
	}

	m.text = text

	return nil
}

func start(t *testing.T, cache Cache) *resource.Store {
	t.Helper()

	store := resource.NewStore()
	reconciletest.Run(t, store, Controllers(cache)...)

	return store
}

func await[T resource.Spec](t *testing.T, store *resource.Store, namespace, id string, ok func(*resource.Resource[T]) bool) {
	t.Helper()

	var kind T

	if _, err := resource.WaitForIn(t.Context(), store, namespace, id, ok); err != nil {
		t.Fatalf("waiting for %s %s: %v", kind.Definition().Type, id, err)
	}
}

func there[T resource.Spec](r *resource.Resource[T]) bool { return r != nil }

// What META says acts, and is kept as soon as there is a place for it.
func TestMeta(t *testing.T) {
	t.Parallel()

	cache := &memory{saved: make(chan struct{})}
	store := start(t, cache)

	if err := store.Create(t.Context(), resource.New(metaKey, runtime.MetaKey{Value: example}), "test"); err != nil {
		t.Fatal(err)
	}

	await(t, store, network.ConfigNamespaceName, "platform/bond0", there[network.LinkSpec])
	await(t, store, network.NamespaceName, "external/203.0.113.7/32", there[network.AddressStatus])

	if err := store.Create(t.Context(), resource.New("STATE", block.MountStatus{Target: "/system/state"}), "test"); err != nil {
		t.Fatal(err)
	}

	select {
	case <-t.Context().Done():
		t.Fatal("it was not kept")
	case <-cache.saved:
	}

	text, _ := cache.Load()
	if config, err := Parse(text); err != nil || len(config.Links) != 1 {
		t.Errorf("kept %s: %v", text, err)
	}
}

// What was kept acts until the platform answers.
func TestCached(t *testing.T) {
	t.Parallel()

	store := start(t, &memory{text: []byte(example)})

	if err := store.Create(t.Context(), resource.New("STATE", block.MountStatus{Target: "/system/state"}), "test"); err != nil {
		t.Fatal(err)
	}

	await(t, store, network.ConfigNamespaceName, "platform/bond0", there[network.LinkSpec])

	if err := store.Create(t.Context(), resource.New(metaKey, runtime.MetaKey{Value: "hostnames: [{hostname: a}]"}), "test"); err != nil {
		t.Fatal(err)
	}

	await(t, store, network.ConfigNamespaceName, "platform/bond0", func(r *resource.Resource[network.LinkSpec]) bool { return r == nil })
	await(t, store, network.ConfigNamespaceName, "platform/hostname", there[network.HostnameSpec])
}
