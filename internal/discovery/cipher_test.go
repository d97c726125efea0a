package discovery_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	plain "github.com/basalt-os/basalt/api/discovery/affiliate"
	"github.com/basalt-os/basalt/internal/discovery"
	"github.com/basalt-os/basalt/internal/resources/cluster"
)

func TestEndpointCipher(t *testing.T) {
	sealer, err := discovery.NewSealer(key)
	if err != nil {
		t.Fatal(err)
	}

	for text, size := range map[string]int{"10.0.0.1:51820": 16, "[2001:db8::ffff]:65535": 32, "0.0.0.0:0": 16} {
		endpoint := netip.MustParseAddrPort(text)

		first, err := sealer.SealEndpoint(endpoint)
		if err != nil {
			t.Fatal(err)
		}

		second, err := sealer.SealEndpoint(endpoint)
		if err != nil || !bytes.Equal(first, second) || len(first) != size {
			t.Errorf("%s: %x, then %x, %v", text, first, second, err)
		}

		if got, err := sealer.OpenEndpoint(first); err != nil || got != endpoint {
			t.Errorf("%s came back as %s, %v", text, got, err)
		}
	}

	if _, err := discovery.NewSealer(key[:16]); err == nil {
		t.Error("a short secret was accepted")
	}
}

func FuzzOpen(f *testing.F) {
	sealer, err := discovery.NewSealer(key)
	if err != nil {
		f.Fatal(err)
	}

	endpoint, err := sealer.SealEndpoint(netip.MustParseAddrPort("10.0.0.1:51820"))
	if err != nil {
		f.Fatal(err)
	}

	message, err := proto.Marshal(&plain.Affiliate{
		NodeId: "a", Addresses: [][]byte{{10, 0, 0, 1}},
		Kubespan: &plain.KubeSpan{Address: []byte{10, 0, 0, 1}, AdditionalAddresses: []*plain.IPPrefix{{Ip: []byte{1, 2, 3, 4}, Bits: 24}}},
	})
	if err != nil {
		f.Fatal(err)
	}

	f.Add(endpoint, message)
	f.Fuzz(func(t *testing.T, endpoint, message []byte) {
		if got, err := sealer.OpenEndpoint(endpoint); err == nil && !got.IsValid() {
			t.Errorf("an invalid endpoint %v came out", got)
		}

		if _, err := sealer.Open(message); err == nil {
			t.Error("what was never encrypted was decrypted")
		}

		var decoded plain.Affiliate
		if proto.Unmarshal(message, &decoded) != nil {
			return
		}

		affiliate, err := discovery.FromPlain(&decoded)
		if err != nil {
			return
		}

		sealed, err := sealer.Seal(affiliate)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}

		again, err := sealer.Open(sealed)
		if err != nil {
			t.Fatal(err)
		}

		back, err := discovery.FromPlain(again)
		if err != nil {
			t.Fatal(err)
		}

		if affiliate.KubeSpan.PublicKey == "" {
			// Without a key there is no KubeSpan to speak of.
			affiliate.KubeSpan = cluster.KubeSpanAffiliateSpec{}
		}

		if diff := cmp.Diff(affiliate, back, compared); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzSnapshot(f *testing.F) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

	f.Add([]byte(`{"version":1,"clusters":{"c":{"a":{"data":"eA==","expires":"2026-01-01T00:10:00Z","endpoints":[{"data":"eQ==","expires":"2026-01-01T00:10:00Z"}]}}}}`))
	f.Add([]byte(`{"version":1,"clusters":{"":{"a":{}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		written, err := discovery.Snapshot(data, now)
		if err != nil {
			return
		}

		if _, err := discovery.Snapshot(written, now); err != nil {
			t.Errorf("what was read cannot be read again: %v\n%s", err, written)
		}
	})
}
