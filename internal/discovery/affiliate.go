package discovery

import (
	"fmt"
	"net/netip"

	plain "github.com/basalt-os/basalt/api/discovery/affiliate"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/internal/resources/machinetype"
)

// toPlain returns the wire form of an affiliate. Its KubeSpan endpoints are not
// in it: they travel apart.
func toPlain(a cluster.Affiliate) (*plain.Affiliate, error) {
	out := &plain.Affiliate{
		NodeId:          a.NodeID,
		Hostname:        a.Hostname,
		Nodename:        a.Nodename,
		MachineType:     a.MachineType.String(),
		OperatingSystem: a.OperatingSystem,
	}

	for _, address := range a.Addresses {
		data, err := address.MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("encoding address %s: %w", address, err)
		}

		out.Addresses = append(out.Addresses, data)
	}

	if a.ControlPlane != nil {
		out.ControlPlane = &plain.ControlPlane{ApiServerPort: uint32(a.ControlPlane.APIServerPort)}
	}

	if a.KubeSpan.PublicKey == "" {
		return out, nil
	}

	address, err := a.KubeSpan.Address.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encoding address %s: %w", a.KubeSpan.Address, err)
	}

	out.Kubespan = &plain.KubeSpan{PublicKey: a.KubeSpan.PublicKey, Address: address}

	for _, prefix := range a.KubeSpan.AdditionalAddresses {
		ip, err := prefix.Addr().MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("encoding prefix %s: %w", prefix, err)
		}

		out.Kubespan.AdditionalAddresses = append(out.Kubespan.AdditionalAddresses,
			&plain.IPPrefix{Ip: ip, Bits: uint32(prefix.Bits())})
	}

	return out, nil
}

// fromPlain is the inverse of toPlain.
func fromPlain(in *plain.Affiliate) (cluster.Affiliate, error) {
	out := cluster.Affiliate{
		NodeID:          in.GetNodeId(),
		Hostname:        in.GetHostname(),
		Nodename:        in.GetNodename(),
		OperatingSystem: in.GetOperatingSystem(),
	}

	// A machine type of a newer version is none that we know what to do with.
	if err := out.MachineType.UnmarshalText([]byte(in.GetMachineType())); err != nil {
		out.MachineType = machinetype.Unknown
	}

	for _, data := range in.GetAddresses() {
		address, err := addressOf(data)
		if err != nil {
			return cluster.Affiliate{}, err
		}

		out.Addresses = append(out.Addresses, address)
	}

	if in.GetControlPlane() != nil {
		out.ControlPlane = &cluster.ControlPlane{APIServerPort: int(in.GetControlPlane().GetApiServerPort())}
	}

	if in.GetKubespan() == nil {
		return out, nil
	}

	var err error

	out.KubeSpan.PublicKey = in.GetKubespan().GetPublicKey()
	if out.KubeSpan.Address, err = addressOf(in.GetKubespan().GetAddress()); err != nil {
		return cluster.Affiliate{}, err
	}

	for _, entry := range in.GetKubespan().GetAdditionalAddresses() {
		address, err := addressOf(entry.GetIp())
		if err != nil {
			return cluster.Affiliate{}, err
		}

		prefix := netip.PrefixFrom(address, int(min(entry.GetBits(), 129)))
		if !prefix.IsValid() {
			return cluster.Affiliate{}, fmt.Errorf("decoding prefix: %s cannot have %d bits", address, entry.GetBits())
		}

		out.KubeSpan.AdditionalAddresses = append(out.KubeSpan.AdditionalAddresses, prefix)
	}

	return out, nil
}

func addressOf(data []byte) (netip.Addr, error) {
	var address netip.Addr
	if err := address.UnmarshalBinary(data); err != nil {
		return netip.Addr{}, fmt.Errorf("decoding address: %w", err)
	}

	if !address.IsValid() {
		return netip.Addr{}, fmt.Errorf("decoding address: it is empty")
	}

	return address, nil
}
