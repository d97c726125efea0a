// Package etcd has the controllers that prepare the etcd member of a control
// plane: its settings, its addresses and the files of its certificates.
package etcd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/controllers/args"
	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/controllers/files"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/etcd"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// Dependencies are what the controllers of this package need.
type Dependencies struct {
	Config *configured.Reader
	// PKI is where the certificates go; it belongs to etcd's user.
	PKI files.Folder
}

// Controllers are all controllers of this package.
func Controllers(d Dependencies) []reconcile.Controller {
	return []reconcile.Controller{Config(d.Config), Spec(), PKI(d.PKI), Member()}
}

// Config takes the settings of the member from the configuration.
func Config(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "etcd.ConfigController", etcd.ConfigID,
		func(cfg *machineconfig.Config) (etcd.Config, error) {
			member := cfg.Cluster().Etcd
			if !cfg.Machine().IsControlPlane() || member.CA.IsZero() {
				return derive.None[etcd.Config]()
			}

			spec := etcd.Config{Image: member.Image, ExtraArgs: map[string]etcd.ArgValues{}}
			spec.AdvertiseValidSubnets, spec.AdvertiseExcludeSubnets = subnets(member.AdvertisedSubnets)
			spec.ListenValidSubnets, spec.ListenExcludeSubnets = subnets(member.ListenSubnets)

			// Whoever says where to listen only, is reached there.
			if len(spec.AdvertiseValidSubnets) == 0 && len(spec.ListenValidSubnets) > 0 {
				spec.AdvertiseValidSubnets = spec.ListenValidSubnets
			}

			for name, values := range member.ExtraArgs {
				spec.ExtraArgs[name] = etcd.ArgValues{Values: values}
			}

			return spec, nil
		})
}

// subnets separates those to choose from and those, with ! in front, to leave
// out.
func subnets(list []string) (valid, excluded []string) {
	excluded = []string{}

	for _, s := range list {
		if x, ok := strings.CutPrefix(s, "!"); ok {
			excluded = append(excluded, x)
		} else {
			valid = append(valid, s)
		}
	}

	return valid, excluded
}

// addresses are the node's own, without those of pods and services.
const addresses = network.NodeAddressRoutedID + "-" + network.FilterNoKubernetesID

// denied are the arguments that belong to the system.
var denied = []string{
	"name", "data-dir", "listen-peer-urls", "listen-client-urls", "listen-client-http-urls", "cert-file", "key-file",
	"trusted-ca-file", "client-cert-auth", "peer-client-cert-auth", "peer-cert-file", "peer-key-file",
	"peer-trusted-ca-file", "auto-tls", "peer-auto-tls", "initial-cluster", "initial-cluster-state",
	"initial-advertise-peer-urls", "advertise-client-urls",
}

// Spec says all that is needed to start the member.
func Spec() reconcile.Controller {
	return derive.One("etcd.SpecController", etcd.SpecID,
		[]reconcile.Input{
			derive.In[etcd.Config](etcd.ConfigID),
			derive.In[network.HostnameStatus](network.HostnameID),
			derive.In[network.NodeAddress](addresses),
		},
		func(ctx context.Context, rt *reconcile.Runtime, _ etcd.Spec) (etcd.Spec, error) {
			config, err := derive.Find[etcd.Config](ctx, rt, etcd.ConfigID)
			if err != nil {
				return etcd.Spec{}, err
			}

			if config == nil {
				return derive.None[etcd.Spec]()
			}

			host, err := derive.Need[network.HostnameStatus](ctx, rt, network.HostnameID)
			if err != nil {
				return etcd.Spec{}, err
			}

			own, err := derive.Need[network.NodeAddress](ctx, rt, addresses)
			if err != nil {
				return etcd.Spec{}, err
			}

			return spec(config.Spec, host.Spec.Hostname, own.Spec.Addresses)
		})
}

func spec(config etcd.Config, name string, own []netip.Prefix) (etcd.Spec, error) {
	extra := map[string][]string{}
	for flag, values := range config.ExtraArgs {
		extra[flag] = values.Values
	}

	policies := map[string]args.Policy{}
	for _, flag := range denied {
		policies[flag] = args.Deny
	}

	if err := (args.Args{}).Merge(extra, policies); err != nil {
		return etcd.Spec{}, fmt.Errorf("merging etcd arguments: %w", err)
	}

	advertised, err := choose(own, config.AdvertiseValidSubnets, config.AdvertiseExcludeSubnets)
	if err != nil {
		return etcd.Spec{}, err
	}

	if len(advertised) == 0 {
		return etcd.Spec{}, fmt.Errorf("choosing the address of etcd: none of %v is in %v", own, config.AdvertiseValidSubnets)
	}

	out := etcd.Spec{
		Name:                name,
		Image:               config.Image,
		ExtraArgs:           config.ExtraArgs,
		AdvertisedAddresses: advertised[:1],
	}

	if len(config.ListenValidSubnets) == 0 {
		any := []netip.Addr{netip.IPv4Unspecified()}
		if slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Addr().Is6() }) {
			any = []netip.Addr{netip.IPv6Unspecified()}
		}

		out.ListenPeerAddresses, out.ListenClientAddresses = any, any

		return out, nil
	}

	listen, err := choose(own, config.ListenValidSubnets, config.ListenExcludeSubnets)
	if err != nil {
		return etcd.Spec{}, err
	}

	out.ListenPeerAddresses = listen
	// The node's own API server asks at the loopback address.
	out.ListenClientAddresses = append([]netip.Addr{netip.MustParseAddr("127.0.0.1")}, listen...)

	return out, nil
}

// choose keeps the addresses that are in a valid subnet, or all when none is
// given, and in no excluded one.
func choose(own []netip.Prefix, valid, excluded []string) ([]netip.Addr, error) {
	within := func(texts []string, a netip.Addr) (bool, error) {
		for _, text := range texts {
			p, err := netip.ParsePrefix(text)
			if err != nil {
				return false, fmt.Errorf("parsing subnet %q of etcd: %w", text, err)
			}

			if p.Contains(a) {
				return true, nil
			}
		}

		return false, nil
	}

	var out []netip.Addr

	for _, p := range own {
		in, err := within(valid, p.Addr())
		if err != nil {
			return nil, err
		}

		left, err := within(excluded, p.Addr())
		if err != nil {
			return nil, err
		}

		if (in || len(valid) == 0) && !left {
			out = append(out, p.Addr())
		}
	}

	return out, nil
}

// PKI writes the member's certificates to files and says when they are there.
func PKI(folder files.Folder) reconcile.Controller {
	return derive.One("etcd.PKIController", etcd.PKIStatusID,
		[]reconcile.Input{
			derive.In[secrets.EtcdRoot](secrets.EtcdRootID),
			derive.In[secrets.Etcd](secrets.EtcdID),
		},
		func(ctx context.Context, rt *reconcile.Runtime, _ etcd.PKIStatus) (etcd.PKIStatus, error) {
			root, err := derive.Find[secrets.EtcdRoot](ctx, rt, secrets.EtcdRootID)
			if err != nil {
				return etcd.PKIStatus{}, err
			}

			if root == nil {
				return derive.None[etcd.PKIStatus]()
			}

			certs, err := derive.Need[secrets.Etcd](ctx, rt, secrets.EtcdID)
			if err != nil {
				return etcd.PKIStatus{}, err
			}

			c := certs.Spec
			hash := sha256.New()
			contents := map[string]files.File{
				"ca.crt":     {Contents: root.Spec.EtcdCA.Crt},
				"server.crt": {Contents: c.Etcd.Crt},
				"server.key": {Contents: c.Etcd.Key, Secret: true},
				"peer.crt":   {Contents: c.EtcdPeer.Crt},
				"peer.key":   {Contents: c.EtcdPeer.Key, Secret: true},
				"admin.crt":  {Contents: c.EtcdAdmin.Crt},
				"admin.key":  {Contents: c.EtcdAdmin.Key, Secret: true},
			}

			for _, name := range []string{"ca.crt", "server.crt", "peer.crt", "admin.crt"} {
				hash.Write(contents[name].Contents)
			}

			if err := folder.Write(contents); err != nil {
				return etcd.PKIStatus{}, fmt.Errorf("writing the certificates of etcd: %w", err)
			}

			return etcd.PKIStatus{Ready: true, Version: hex.EncodeToString(hash.Sum(nil))[:16]}, nil
		})
}
