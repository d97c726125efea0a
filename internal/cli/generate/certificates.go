package generate

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/internal/cli/filing"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// writePair writes a certificate and its key beside each other.
func writePair(name string, pair secrets.KeyPair, force bool) error {
	if err := filing.Free(name+".key", force); err != nil {
		return err
	}

	if err := filing.Write(nil, name+".crt", pair.Cert, false, force); err != nil {
		return err
	}

	return filing.Write(nil, name+".key", pair.Key, true, force)
}

func newCA(force *bool) *cobra.Command {
	var (
		hours        int
		organization string
		rsa          bool
	)

	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Make a certificate authority: a certificate signed by itself, and its key",
		Example: `  basaltctl gen ca --organization example
  basaltctl gen ca --organization example --rsa --hours 8760`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			options := secrets.CAOptions{Organization: organization, TTL: time.Duration(hours) * time.Hour}
			if rsa {
				options.Algorithm = secrets.RSA4096
			}

			ca, err := secrets.NewCA(options)
			if err != nil {
				return err
			}

			return writePair(organization, ca.KeyPair(), *force)
		},
	}

	cmd.Flags().IntVar(&hours, "hours", 87600, "lifetime in hours")
	cmd.Flags().StringVar(&organization, "organization", "", "organization, after which the files are named")
	cmd.Flags().BoolVar(&rsa, "rsa", false, "make an RSA key instead of Ed25519")
	required(cmd, "organization")

	return cmd
}

func newKey(force *bool) *cobra.Command {
	var name string

	cmd := &cobra.Command{
		Use:     "key",
		Short:   "Make a private key",
		Example: "  basaltctl gen key --name admin",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			key, err := secrets.NewKey(secrets.Ed25519)
			if err != nil {
				return err
			}

			text, err := secrets.EncodeKey(key)
			if err != nil {
				return err
			}

			return filing.Write(nil, name+".key", text, true, *force)
		},
	}

	cmd.Flags().StringVar(&name, "name", "", "name of the file, to which .key is added")
	required(cmd, "name")

	return cmd
}

func newRequest(force *bool) *cobra.Command {
	var (
		address, keyFile string
		roles            []string
	)

	cmd := &cobra.Command{
		Use:     "csr",
		Short:   "Make a certificate signing request for a key",
		Example: "  basaltctl gen csr --key admin.key --ip 10.0.0.1 --roles os:reader",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			ip, err := netip.ParseAddr(address)
			if err != nil {
				return fmt.Errorf("--ip %q: give an address", address)
			}

			text, err := os.ReadFile(keyFile)
			if err != nil {
				return fmt.Errorf("reading key: %w", err)
			}

			key, err := secrets.ParseKey(text)
			if err != nil {
				return fmt.Errorf("%s: %w", keyFile, err)
			}

			request, err := secrets.NewCSR(key, secrets.Request{Organizations: roles, IPs: []netip.Addr{ip}})
			if err != nil {
				return err
			}

			return filing.Write(nil, strings.TrimSuffix(keyFile, ".key")+".csr", request, false, *force)
		},
	}

	cmd.Flags().StringVar(&address, "ip", "", "address that the certificate is for")
	cmd.Flags().StringVar(&keyFile, "key", "", "file with the key")
	cmd.Flags().StringSliceVar(&roles, "roles", []string{"os:admin"}, "roles that the certificate gives")
	required(cmd, "ip", "key")

	return cmd
}

func newCertificate(force *bool) *cobra.Command {
	var (
		authority, requestFile, name string
		hours                        int
	)

	cmd := &cobra.Command{
		Use:     "crt",
		Short:   "Sign a certificate signing request",
		Example: "  basaltctl gen crt --ca example --csr admin.csr --name admin",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			ca, err := loadCA(authority)
			if err != nil {
				return err
			}

			request, err := os.ReadFile(requestFile)
			if err != nil {
				return fmt.Errorf("reading signing request: %w", err)
			}

			certificate, err := ca.SignCSR(request, secrets.SignOptions{
				TTL: time.Duration(hours) * time.Hour, KeepOrganizations: true,
				Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			})
			if err != nil {
				return err
			}

			return filing.Write(nil, name+".crt", certificate, false, *force)
		},
	}

	cmd.Flags().StringVar(&authority, "ca", "", "name of the authority's files, without .crt and .key")
	cmd.Flags().StringVar(&requestFile, "csr", "", "file with the signing request")
	cmd.Flags().IntVar(&hours, "hours", 24, "lifetime in hours")
	cmd.Flags().StringVar(&name, "name", "", "name of the file, to which .crt is added")
	required(cmd, "ca", "csr", "name")

	return cmd
}

func loadCA(name string) (*secrets.CA, error) {
	certificate, err := os.ReadFile(name + ".crt")
	if err != nil {
		return nil, fmt.Errorf("reading authority: %w", err)
	}

	key, err := os.ReadFile(name + ".key")
	if err != nil {
		return nil, fmt.Errorf("reading authority: %w", err)
	}

	return secrets.LoadCA(secrets.KeyPair{Cert: certificate, Key: key})
}

func newKeyPair(force *bool) *cobra.Command {
	var address, organization string

	cmd := &cobra.Command{
		Use:     "keypair",
		Short:   "Make a certificate that is signed by itself, and its key",
		Example: "  basaltctl gen keypair --organization example --ip 10.0.0.1",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			options := secrets.CAOptions{Organization: organization}

			if address != "" {
				ip, err := netip.ParseAddr(address)
				if err != nil {
					return fmt.Errorf("--ip %q: give an address", address)
				}

				options.IPs = []netip.Addr{ip}
			}

			ca, err := secrets.NewCA(options)
			if err != nil {
				return err
			}

			return writePair(organization, ca.KeyPair(), *force)
		},
	}

	cmd.Flags().StringVar(&address, "ip", "", "address that the certificate is for")
	cmd.Flags().StringVar(&organization, "organization", "", "organization, after which the files are named")
	required(cmd, "organization")

	return cmd
}
