package node

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/basalt-os/basalt/internal/resources/etcd"
)

var testSpec = etcd.Spec{
	Name:                  "node-1",
	AdvertisedAddresses:   []netip.Addr{netip.MustParseAddr("10.5.0.2")},
	ListenPeerAddresses:   []netip.Addr{netip.IPv6Unspecified()},
	ListenClientAddresses: []netip.Addr{netip.IPv6Unspecified()},
	ExtraArgs:             map[string]etcd.ArgValues{"quota-backend-bytes": {Values: []string{"1000"}}},
}

func newTestMember(t *testing.T) *member {
	t.Helper()

	m := newMember(slog.New(slog.DiscardHandler), filepath.Join(t.TempDir(), "etcd"))
	m.peers = func(context.Context) ([]netip.Addr, error) { return nil, nil }

	return m
}

func TestJoinAsFirstMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newTestMember(t)

		var (
			wg  sync.WaitGroup
			got entry
			err error
		)

		wg.Go(func() { got, err = m.join(t.Context(), testSpec) })
		synctest.Wait()

		if err := m.bootstrap(bootstrap{}); err != nil {
			t.Fatal(err)
		}

		wg.Wait()

		want := entry{initial: "node-1=https://10.5.0.2:2380", state: "new"}
		if err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}

		if err := m.bootstrap(bootstrap{}); !errors.Is(err, errIsBootstrap) {
			t.Errorf("a second bootstrap: got %v, want %v", err, errIsBootstrap)
		}
	})
}

func TestJoinWithData(t *testing.T) {
	m := newTestMember(t)
	if err := os.MkdirAll(filepath.Join(m.data, "member"), 0o700); err != nil {
		t.Fatal(err)
	}

	got, err := m.join(t.Context(), testSpec)
	if err != nil || got.state != "existing" {
		t.Errorf("got %+v, %v, want an existing member", got, err)
	}

	if err := m.bootstrap(bootstrap{}); !errors.Is(err, errHasData) {
		t.Errorf("bootstrap: got %v, want %v", err, errHasData)
	}
}

func TestJoinEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()

		if _, err := newTestMember(t).join(ctx, testSpec); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	})
}

func TestInitialCluster(t *testing.T) {
	own := []string{"https://10.5.0.3:2380"}

	got := initialCluster("node-2", own, []*etcdserverpb.Member{
		{Name: "", PeerURLs: own},
		{Name: "node-1", PeerURLs: []string{"https://10.5.0.2:2380"}},
	})

	const want = "node-1=https://10.5.0.2:2380,node-2=https://10.5.0.3:2380"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEtcdArgs(t *testing.T) {
	got := etcdArgs(testSpec, entry{initial: "node-1=https://10.5.0.2:2380", state: "new"})

	want := []string{
		"/usr/local/bin/etcd",
		"--advertise-client-urls=https://10.5.0.2:2379",
		"--auto-tls=false",
		"--cert-file=/system/secrets/etcd/server.crt",
		"--client-cert-auth=true",
		"--data-dir=/var/lib/etcd",
		"--feature-gates=InitialCorruptCheck=true",
		"--initial-advertise-peer-urls=https://10.5.0.2:2380",
		"--initial-cluster-state=new",
		"--initial-cluster=node-1=https://10.5.0.2:2380",
		"--key-file=/system/secrets/etcd/server.key",
		"--listen-client-http-urls=https://[::]:2383",
		"--listen-client-urls=https://[::]:2379",
		"--listen-peer-urls=https://[::]:2380",
		"--name=node-1",
		"--peer-auto-tls=false",
		"--peer-cert-file=/system/secrets/etcd/peer.crt",
		"--peer-client-cert-auth=true",
		"--peer-key-file=/system/secrets/etcd/peer.key",
		"--peer-trusted-ca-file=/system/secrets/etcd/ca.crt",
		"--quota-backend-bytes=1000",
		"--tls-min-version=TLS1.3",
		"--trusted-ca-file=/system/secrets/etcd/ca.crt",
		"--watch-progress-notify-interval=5s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
}
