package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"slices"
	"testing"

	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/provision"
)

// certificateIsReplaced gives apid another certificate while a call is under
// way, as it gets one in the middle of each certificate's life: new connections
// see it, and the call goes on.
func certificateIsReplaced(t *testing.T, c *cluster) {
	const name = "another-name.example.org"

	node := c.controlPlane()

	original, err := os.ReadFile(c.folder.NodeConfig(node.Name))
	if err != nil {
		t.Fatal(err)
	}

	apply := func(ctx context.Context, config []byte) error {
		_, err := client.Check(c.api.Machine.ApplyConfiguration(on(ctx, node), &machine.ApplyConfigurationRequest{
			Data: config, Mode: machine.ApplyConfigurationRequest_NO_REBOOT,
		}))

		return err
	}

	id := "v1alpha1"

	watch, err := c.api.State.Watch(on(t.Context(), node), &cosiresource.WatchRequest{
		Namespace: "config", Type: "MachineConfigs.config.talos.dev", Id: &id, ApiVersion: 1, Options: &cosiresource.WatchOptions{},
	})
	if err != nil {
		t.Fatal(err)
	}

	nextEvents(t, watch)

	before := c.certificate(t, node)
	if slices.Contains(before.DNSNames, name) {
		t.Fatal("the certificate has the name already")
	}

	if err := apply(t.Context(), patched(t, original, "machine: {certSANs: ["+name+"]}")); err != nil {
		t.Fatal(err)
	}

	nextEvents(t, watch)

	var after *x509.Certificate

	took := eventually(t, apiLimit, "another certificate", func(context.Context) error {
		if after = c.certificate(t, node); after.Equal(before) {
			return errors.New("it is the same")
		}

		return nil
	})
	t.Logf("another certificate is served after %s", took)

	if !slices.Contains(after.DNSNames, name) {
		t.Errorf("the certificate is for %q", after.DNSNames)
	}

	// The watch began on a connection with the old certificate.
	if err := apply(t.Context(), original); err != nil {
		t.Fatal(err)
	}

	nextEvents(t, watch)
}

// certificate returns what the node's API shows to a new connection.
func (c *cluster) certificate(t *testing.T, node provision.Node) *x509.Certificate {
	t.Helper()

	config, err := clientconfig.Load(c.folder.Talosconfig())
	if err != nil {
		t.Fatal(err)
	}

	selected, err := config.Select("")
	if err != nil {
		t.Fatal(err)
	}

	own, err := selected.Certificate()
	if err != nil {
		t.Fatal(err)
	}

	pool, err := selected.Pool()
	if err != nil {
		t.Fatal(err)
	}

	dialer := &tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, Certificates: []tls.Certificate{*own}}}

	conn, err := dialer.DialContext(t.Context(), "tcp", net.JoinHostPort(node.Address.String(), "50000"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
}
