package client

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/grpc/resolver"
)

// endpointScheme is the scheme of the resolver below.
const endpointScheme = "basalt"

// endpoints is a resolver that always finds the same addresses, between which
// calls go round.
type endpoints []string

func (e endpoints) Build(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	var state resolver.State

	for _, address := range e {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("reading endpoint: %w", err)
		}

		state.Endpoints = append(state.Endpoints, resolver.Endpoint{
			Addresses: []resolver.Address{{Addr: address, ServerName: host}},
		})
	}

	// The only error is that the connection is closed already.
	_ = cc.UpdateState(state)

	return e, nil
}

func (endpoints) Scheme() string { return endpointScheme }

func (endpoints) ResolveNow(resolver.ResolveNowOptions) {}

func (endpoints) Close() {}

// parseEndpoints adds the default port where there is none.
func parseEndpoints(list []string) ([]string, error) {
	addresses := make([]string, 0, len(list))

	for _, endpoint := range list {
		host, port, err := net.SplitHostPort(endpoint)
		if err != nil {
			// A bare IPv6 address has colons and no port.
			host, port = strings.Trim(endpoint, "[]"), strconv.Itoa(DefaultPort)
			if strings.Contains(host, ":") && net.ParseIP(host) == nil {
				return nil, fmt.Errorf("endpoint %q is neither host nor host:port", endpoint)
			}
		}

		if number, err := strconv.ParseUint(port, 10, 16); host == "" || strings.ContainsAny(host, "/ ") || err != nil || number == 0 {
			return nil, fmt.Errorf("endpoint %q is neither host nor host:port", endpoint)
		}

		addresses = append(addresses, net.JoinHostPort(host, port))
	}

	return addresses, nil
}

// proxyDialer returns a dialer that goes through an HTTP proxy.
func proxyDialer(text string) (func(context.Context, string) (net.Conn, error), error) {
	proxy, err := url.Parse(text)
	if err != nil || proxy.Scheme != "http" || proxy.Host == "" {
		// The URL may have a password, so it is not repeated here.
		return nil, errors.New("proxy URL of the context is not of the form http://host:port")
	}

	address := proxy.Host
	if proxy.Port() == "" {
		address = net.JoinHostPort(proxy.Hostname(), "80")
	}

	return func(ctx context.Context, target string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("connecting to proxy: %w", err)
		}

		if err := tunnel(ctx, conn, target, proxy.User); err != nil {
			return nil, errors.Join(err, conn.Close())
		}

		return conn, nil
	}, nil
}

// tunnel asks the proxy to connect to the target.
func tunnel(ctx context.Context, conn net.Conn, target string, user *url.Userinfo) error {
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return fmt.Errorf("connecting through proxy: %w", err)
		}
	}

	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: target}, Host: target, Header: http.Header{}}

	if user != nil {
		password, _ := user.Password()
		request.Header.Set("Proxy-Authorization",
			"Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}

	if err := request.Write(conn); err != nil {
		return fmt.Errorf("connecting through proxy: %w", err)
	}

	// The node speaks only after the client's TLS greeting, so the reader
	// below cannot swallow anything of it.
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return fmt.Errorf("connecting through proxy: %w", err)
	}

	if err := response.Body.Close(); err != nil {
		return fmt.Errorf("connecting through proxy: %w", err)
	}

	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("connecting through proxy to %s: %s", target, response.Status)
	}

	return conn.SetDeadline(noDeadline)
}
