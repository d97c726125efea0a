package etcd

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/basalt-os/basalt/internal/resources/etcd"
)

func TestSpec(t *testing.T) {
	t.Parallel()

	v4 := []netip.Prefix{netip.MustParsePrefix("10.5.0.2/24"), netip.MustParsePrefix("10.6.0.2/24")}
	both := append(v4[:1:1], netip.MustParsePrefix("fd00::2/64"))
	a, b := v4[0].Addr(), v4[1].Addr()
	any4, any6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()

	for _, test := range []struct {
		name   string
		config etcd.Config
		own    []netip.Prefix
		want   etcd.Spec
		err    bool
	}{
		{
			name: "everywhere", own: v4,
			want: etcd.Spec{AdvertisedAddresses: []netip.Addr{a}, ListenPeerAddresses: []netip.Addr{any4}, ListenClientAddresses: []netip.Addr{any4}},
		},
		{
			name: "everywhere, both families", own: both,
			want: etcd.Spec{AdvertisedAddresses: []netip.Addr{a}, ListenPeerAddresses: []netip.Addr{any6}, ListenClientAddresses: []netip.Addr{any6}},
		},
		{
			name: "in one subnet", own: v4,
			config: etcd.Config{AdvertiseValidSubnets: []string{"10.6.0.0/24"}, ListenValidSubnets: []string{"10.6.0.0/24"}},
			want: etcd.Spec{
				AdvertisedAddresses: []netip.Addr{b}, ListenPeerAddresses: []netip.Addr{b},
				ListenClientAddresses: []netip.Addr{netip.MustParseAddr("127.0.0.1"), b},
			},
		},
		{
			name: "without a subnet", own: v4, config: etcd.Config{AdvertiseExcludeSubnets: []string{"10.5.0.0/16"}},
			want: etcd.Spec{AdvertisedAddresses: []netip.Addr{b}, ListenPeerAddresses: []netip.Addr{any4}, ListenClientAddresses: []netip.Addr{any4}},
		},
		{name: "nowhere", own: v4, config: etcd.Config{AdvertiseValidSubnets: []string{"192.0.2.0/24"}}, err: true},
		{name: "no subnet", own: v4, config: etcd.Config{AdvertiseValidSubnets: []string{"all"}}, err: true},
		{name: "an argument of the system", own: v4, config: etcd.Config{ExtraArgs: map[string]etcd.ArgValues{"data-dir": {}}}, err: true},
	} {
		got, err := spec(test.config, "cp-1", test.own)
		if (err != nil) != test.err {
			t.Errorf("%s: error = %v", test.name, err)
		}

		if err != nil {
			continue
		}

		test.want.Name = "cp-1"
		if diff := cmp.Diff(test.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestMemberID(t *testing.T) {
	t.Parallel()

	if got := memberID(0xabc); got != "0000000000000abc" {
		t.Errorf("ID = %q", got)
	}
}
