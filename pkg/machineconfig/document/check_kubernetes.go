package document

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/basalt-os/basalt/pkg/secrets"
)

// Check implements [Checker].
func (c *KubeNetworkConfig) Check() []Fault {
	var f faults

	for _, subnets := range []struct {
		path     string
		prefixes []netip.Prefix
	}{
		{"podSubnets", c.PodSubnets},
		{"serviceSubnets", c.ServiceSubnets},
	} {
		const families = 2

		f.ok(len(subnets.prefixes) <= families, subnets.path, "found %d networks, expected one of each address family", len(subnets.prefixes))

		if len(subnets.prefixes) == families {
			f.ok(subnets.prefixes[0].Addr().Is4() != subnets.prefixes[1].Addr().Is4(), subnets.path,
				"found two networks of one address family, expected one of each")
		}

		for i, prefix := range subnets.prefixes {
			f.ok(prefix == prefix.Masked(), fmt.Sprintf("%s[%d]", subnets.path, i), "found %s, expected %s", prefix, prefix.Masked())
		}
	}

	for i, pods := range c.PodSubnets {
		for _, services := range c.ServiceSubnets {
			f.ok(!pods.Overlaps(services), fmt.Sprintf("podSubnets[%d]", i), "found %s, which overlaps %s, expected networks apart", pods, services)
		}
	}

	if c.DNSDomain != "" {
		for _, fault := range validation.IsDNS1123Subdomain(c.DNSDomain) {
			f.add("dnsDomain", "found %q, expected a domain: %s", c.DNSDomain, fault)
		}
	}

	return f
}

// Check implements [Checker].
func (c *KubeNodeConfig) Check() []Fault {
	var f faults

	for _, key := range slices.Sorted(maps.Keys(c.Labels)) {
		for _, fault := range append(validation.IsQualifiedName(key), validation.IsValidLabelValue(c.Labels[key])...) {
			f.add("labels."+key, "found %q: %q, expected a label: %s", key, c.Labels[key], fault)
		}
	}

	for _, key := range slices.Sorted(maps.Keys(c.Annotations)) {
		for _, fault := range validation.IsQualifiedName(strings.ToLower(key)) {
			f.add("annotations."+key, "found %q, expected the name of an annotation: %s", key, fault)
		}
	}

	effects := []string{"NoSchedule", "PreferNoSchedule", "NoExecute"}

	for _, key := range slices.Sorted(maps.Keys(c.Taints)) {
		_, effect, ok := cutLast(c.Taints[key], ":")
		if !ok {
			effect = c.Taints[key]
		}

		f.ok(slices.Contains(effects, effect), "taints."+key, "found %q, expected %s, with value: in front if there is one",
			c.Taints[key], strings.Join(effects, ", "))
	}

	for i, subnet := range c.NodeIP.ValidSubnets {
		_, err := netip.ParsePrefix(strings.TrimPrefix(subnet, "!"))
		f.ok(err == nil, fmt.Sprintf("nodeIP.validSubnets[%d]", i), "found %q, expected a network, with ! in front to exclude it", subnet)
	}

	return f
}

// Check implements [Checker].
func (c *KubeAPIServerCAConfig) Check() []Fault { return checkCA(c.IssuingCA, c.AcceptedCAs) }

// Check implements [Checker].
func (c *KubeAggregatorCAConfig) Check() []Fault { return checkCA(c.IssuingCA, c.AcceptedCAs) }

func checkCA(issuing *CertificateAndKey, accepted []string) []Fault {
	var f faults

	if issuing != nil {
		_, err := secrets.LoadCA(issuing.KeyPair())
		f.ok(err == nil, "issuingCA", "expected the certificate and key of an authority: %v", err)
	}

	for i, text := range accepted {
		_, err := secrets.ParseCertificates([]byte(text))
		f.ok(err == nil, fmt.Sprintf("acceptedCAs[%d]", i), "expected a certificate: %v", err)
	}

	return f
}

// Check implements [Checker].
func (c *KubeServiceAccountConfig) Check() []Fault {
	var f faults

	_, err := secrets.ParseKey([]byte(c.Issuer.PrivateKey))
	f.ok(err == nil, "issuer.privateKey", "expected a private key: %v", err)

	return f
}

// Check implements [Checker].
func (c *KubeAuthorizerConfig) Check() []Fault {
	var f faults

	f.ok(c.Type != "", "type", "found nothing, expected Node, RBAC or Webhook")
	f.ok((c.Type == "Webhook") == (len(c.Webhook) > 0), "webhook", "expected a webhook for the type Webhook, and for no other")

	return f
}

// Check implements [Checker].
func (c *TrustedRootsConfig) Check() []Fault {
	var f faults

	err := checkAuthorities([]byte(c.Certificates))
	f.ok(err == nil, "certificates", "expected certificates: %v", err)

	return f
}

// checkAuthorities says what keeps PEM text from being part of a bundle that
// everybody may read: all of it must be certificates.
func checkAuthorities(text []byte) error {
	const begin = "-----BEGIN"

	number := 0

	for {
		block, rest := pem.Decode(text)
		skipped := text[:len(text)-len(rest)]

		if block == nil && !bytes.Contains(text, []byte(begin)) {
			break
		}

		number++

		// What cannot be decoded is skipped on the way to the next block.
		if block == nil || bytes.Count(skipped, []byte(begin)) > 1 {
			return fmt.Errorf("PEM block %d is damaged", number)
		}

		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("PEM block %d is a %s", number, block.Type)
		}

		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("PEM block %d: %w", number, err)
		}

		text = rest
	}

	if number == 0 {
		return errors.New("there is none in PEM")
	}

	return nil
}

// Check implements [Checker].
func (c *RegistryTLSConfig) Check() []Fault {
	var f faults

	if c.CA != "" {
		_, err := secrets.ParseCertificates([]byte(c.CA))
		f.ok(err == nil, "ca", "expected certificates: %v", err)
	}

	if c.ClientIdentity != nil {
		_, err := c.ClientIdentity.KeyPair().TLS()
		f.ok(err == nil, "clientIdentity", "expected a certificate and its key")
	}

	return f
}

// Check implements [Checker].
func (c *ImageVerificationConfig) Check() []Fault {
	var f faults

	for i, rule := range c.Rules {
		f.ok(rule.Image != "", fmt.Sprintf("rules[%d].image", i), "found nothing, expected a pattern for images")
	}

	return f
}
