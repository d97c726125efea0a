package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Dial connects to an address, through a proxy if there is one for it.
func (w *Way) Dial(ctx context.Context, address string) (net.Conn, error) {
	proxy, err := w.proxy(ctx, &url.URL{Scheme: "https", Host: address})
	if err != nil {
		return nil, err
	}

	if proxy == nil {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}

	conn, err := w.dialProxy(ctx, proxy)
	if err != nil {
		return nil, fmt.Errorf("connecting to the proxy: %w", err)
	}

	through, err := tunnel(ctx, conn, proxy.User, address)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connecting through the proxy: %w", err), conn.Close())
	}

	return through, nil
}

// dialProxy connects to the proxy itself.
func (w *Way) dialProxy(ctx context.Context, proxy *url.URL) (net.Conn, error) {
	port := proxy.Port()

	switch proxy.Scheme {
	case "http":
		if port == "" {
			port = "80"
		}

		return (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(proxy.Hostname(), port))
	case "https":
		if port == "" {
			port = "443"
		}

		return (&tls.Dialer{Config: w.TLS()}).DialContext(ctx, "tcp", net.JoinHostPort(proxy.Hostname(), port))
	default:
		return nil, fmt.Errorf("its scheme is %q: http and https are known", proxy.Scheme)
	}
}

// tunnel asks the proxy at the other end of a connection for one to an address,
// and returns that.
func tunnel(ctx context.Context, conn net.Conn, user *url.Userinfo, address string) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}

	if user != nil {
		password, _ := user.Password()
		request.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}

	if err := request.Write(conn); err != nil {
		return nil, err
	}

	reader := bufio.NewReader(conn)

	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return nil, err
	}

	if response.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("it answers %s", response.Status), response.Body.Close())
	}

	if !stop() {
		return nil, ctx.Err()
	}

	return &buffered{Conn: conn, reader: reader}, nil
}

// buffered is a connection of which some has been read already.
type buffered struct {
	net.Conn
	reader *bufio.Reader
}

func (b *buffered) Read(data []byte) (int, error) { return b.reader.Read(data) }
