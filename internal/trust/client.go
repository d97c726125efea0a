package trust

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	securityapi "github.com/basalt-os/basalt/api/security"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// askTimeout is how long one control plane node may take to answer.
const askTimeout = 5 * time.Second

// Client asks the control plane for certificates. The zero value is ready for
// use, by several goroutines at once.
type Client struct {
	// Port is that of trustd; zero means DefaultPort.
	Port int
}

// Sign sends a signing request (PEM) with the join token to one control plane
// address after the other, in random order, until one answers. The servers must
// have certificates of the accepted authorities (PEM). It returns the
// certificate (PEM), which is of one of these authorities and for the key of
// the request; else, an error that says what each address answered.
func (c *Client) Sign(ctx context.Context, addresses []netip.Addr, token string, accepted, request []byte) ([]byte, error) {
	if len(addresses) == 0 {
		return nil, errors.New("asking for a certificate: no control plane address is known")
	}

	pool, err := secrets.Pool(accepted)
	if err != nil {
		return nil, fmt.Errorf("asking for a certificate: %w", err)
	}

	csr, err := secrets.ParseCSR(request)
	if err != nil {
		return nil, fmt.Errorf("asking for a certificate: %w", err)
	}

	addresses = slices.Clone(addresses)
	rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })

	var errs []error

	for _, address := range addresses {
		crt, err := c.ask(ctx, address, token, pool, request)
		if err == nil {
			err = checkAnswer(crt, csr.PublicKey, pool)
		}

		if err == nil {
			return crt, nil
		}

		errs = append(errs, fmt.Errorf("asking %s for a certificate: %w", address, err))

		if ctx.Err() != nil {
			break
		}
	}

	return nil, errors.Join(errs...)
}

// ask sends the request to one address.
func (c *Client) ask(
	ctx context.Context, address netip.Addr, token string, pool *x509.CertPool, request []byte,
) (crt []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()

	port := c.Port
	if port == 0 {
		port = DefaultPort
	}

	conn, err := grpc.NewClient("passthrough:///"+net.JoinHostPort(address.String(), strconv.Itoa(port)),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			MinVersion: tls.VersionTLS13, RootCAs: pool, ServerName: address.WithZone("").String(),
		})),
		grpc.WithNoProxy())
	if err != nil {
		return nil, fmt.Errorf("preparing connection: %w", err)
	}

	defer func() { err = errors.Join(err, conn.Close()) }()

	ctx = metadata.AppendToOutgoingContext(ctx, tokenKey, token)

	response, err := securityapi.NewSecurityServiceClient(conn).Certificate(ctx, &securityapi.CertificateRequest{Csr: request})
	if err != nil {
		return nil, err
	}

	return response.GetCrt(), nil
}

// checkAnswer refuses a certificate that would not work.
func checkAnswer(crt []byte, key any, pool *x509.CertPool) error {
	cert, err := secrets.ParseCertificate(crt)
	if err != nil {
		return err
	}

	public, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key) {
		return errors.New("the certificate is for another key")
	}

	if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
		return fmt.Errorf("verifying the certificate: %w", err)
	}

	return nil
}
