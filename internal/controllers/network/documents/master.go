package documents

import (
	"encoding"
	"errors"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// bond are the options of a bond; what the document leaves open is left to the
// kernel.
func bond(doc *document.BondConfig) (network.BondMasterSpec, error) {
	spec := network.BondMasterSpec{
		MIIMon: value(doc.MIIMon), UpDelay: value(doc.UpDelay), DownDelay: value(doc.DownDelay),
		UseCarrier:  doc.UseCarrier == nil || *doc.UseCarrier,
		ARPInterval: value(doc.ARPInterval), ARPIPTargets: doc.ARPIPTargets, NSIP6Targets: doc.NSIP6Targets,
		ADActorSysPrio: value(doc.ADActorSysPrio), ADUserPortKey: value(doc.ADUserPortKey),
		Primary: doc.Primary, ResendIGMP: value(doc.ResendIGMP), MinLinks: value(doc.MinLinks),
		LPInterval: value(doc.LPInterval), PacketsPerSlave: value(doc.PacketsPerSlave),
		NumPeerNotif: value(doc.NumPeerNotif), TLBDynamicLB: value(doc.TLBLogicalLB),
		AllSlavesActive: value(doc.AllSlavesActive), PeerNotifyDelay: value(doc.PeerNotifDelay), MissedMax: value(doc.MissedMax),
	}

	for _, field := range []struct {
		text string
		into encoding.TextUnmarshaler
	}{
		{doc.BondMode, &spec.Mode},
		{doc.XmitHashPolicy, &spec.HashPolicy},
		{doc.ARPValidate, &spec.ARPValidate},
		{doc.ARPAllTargets, &spec.ARPAllTargets},
		{doc.LACPRate, &spec.LACPRate},
		{doc.FailOverMAC, &spec.FailOverMac},
		{doc.ADSelect, &spec.ADSelect},
		{doc.PrimaryReselect, &spec.PrimaryReselect},
	} {
		if field.text == "" {
			continue
		}

		if err := field.into.UnmarshalText([]byte(field.text)); err != nil {
			return spec, err
		}
	}

	if doc.ADLACPActive != "" {
		spec.ADLACPActive = new(network.ADLACPActive)

		return spec, spec.ADLACPActive.UnmarshalText([]byte(doc.ADLACPActive))
	}

	return spec, nil
}

// wireguard are the keys and peers of a tunnel. The public key is that of the
// private one.
func wireguard(doc *document.WireguardConfig) (network.WireguardSpec, error) {
	spec := network.WireguardSpec{PrivateKey: doc.PrivateKey, ListenPort: doc.ListenPort, FirewallMark: doc.FirewallMark}

	key, err := wgtypes.ParseKey(doc.PrivateKey)
	if err != nil {
		return spec, errKey
	}

	spec.PublicKey = key.PublicKey().String()

	for _, p := range doc.Peers {
		peer := network.WireguardPeer{
			PublicKey: p.PublicKey, PresharedKey: p.PresharedKey,
			PersistentKeepaliveInterval: p.PersistentKeepaliveInterval, AllowedIPs: p.AllowedIPs,
		}

		if p.Endpoint.IsValid() {
			peer.Endpoint = p.Endpoint.String()
		}

		spec.Peers = append(spec.Peers, peer)
	}

	return spec, nil
}

// errKey says no more: the key is a secret.
var errKey = errors.New("the private key is none")
