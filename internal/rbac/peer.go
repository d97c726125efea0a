package rbac

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Peer is the process at the other end of a Unix socket, as the kernel
// recorded it when the connection was made.
type Peer struct {
	PID int32
	UID uint32
	GID uint32
}

// AuthType implements [credentials.AuthInfo].
func (Peer) AuthType() string { return "unix-peer" }

// PeerFromContext returns the caller's process. It is false for connections
// that were not accepted with [PeerCredentials].
func PeerFromContext(ctx context.Context) (Peer, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Peer{}, false
	}

	info, ok := p.AuthInfo.(Peer)

	return info, ok
}

// PeerCredentials returns server credentials for Unix sockets that read the
// process at the other end from the kernel. Nothing is sent over the
// connection; clients connect with insecure credentials. A connection that is
// not a Unix socket is refused.
func PeerCredentials() credentials.TransportCredentials { return peerCredentials{} }

type peerCredentials struct{}

func (peerCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, nil, fmt.Errorf("reading peer credentials: %T is not a Unix socket", conn)
	}

	raw, err := unixConn.SyscallConn()
	if err != nil {
		return nil, nil, fmt.Errorf("reading peer credentials: %w", err)
	}

	var (
		cred    *unix.Ucred
		credErr error
	)

	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return nil, nil, fmt.Errorf("reading peer credentials: %w", err)
	}

	return conn, Peer{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid}, nil
}

func (peerCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("peer credentials are for servers only")
}

func (peerCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "unix-peer"}
}

func (c peerCredentials) Clone() credentials.TransportCredentials { return c }

func (peerCredentials) OverrideServerName(string) error { return nil }
