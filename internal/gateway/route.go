package gateway

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/basalt-os/basalt/internal/rbac"
)

// Metadata keys by which requests are routed.
const (
	nodeKey  = "node"
	nodesKey = "nodes"
	// hopKey marks a request that another gateway sent. It is answered by the
	// node itself, whatever else it says, so requests never travel in circles.
	hopKey = "proxyfrom"
)

// maxNodes bounds the fan-out of one request.
const maxNodes = 1024

// route says where a request goes.
type route struct {
	// nodes is empty for the local node without fan-out.
	nodes []string
	// merge is set when the caller asked for merged responses, even of one node.
	merge bool
}

// routeOf reads the route from the request's metadata. Errors are gRPC
// statuses with code InvalidArgument.
func routeOf(md metadata.MD) (route, error) {
	if len(md.Get(hopKey)) > 0 {
		return route{}, nil
	}

	one, many := md.Get(nodeKey), md.Get(nodesKey)

	switch {
	case len(one) > 0 && len(many) > 0:
		return route{}, status.Error(codes.InvalidArgument, "metadata has both node and nodes")
	case len(one) > 1:
		return route{}, status.Errorf(codes.InvalidArgument, "metadata has %d values of node, want one", len(one))
	case len(one) == 1:
		node, err := parseNode(one[0])
		if err != nil {
			return route{}, status.Error(codes.InvalidArgument, err.Error())
		}

		return route{nodes: []string{node}}, nil
	case len(many) > 0:
		nodes, err := parseNodes(many)
		if err != nil {
			return route{}, status.Error(codes.InvalidArgument, err.Error())
		}

		return route{nodes: nodes, merge: true}, nil
	default:
		return route{}, nil
	}
}

// parseNodes reads a list of nodes. A node that is named twice is asked once.
func parseNodes(values []string) ([]string, error) {
	var nodes []string

	for _, value := range values {
		// A proxy on the way may have joined the values of the header.
		for text := range strings.SplitSeq(value, ",") {
			node, err := parseNode(strings.TrimSpace(text))
			if err != nil {
				return nil, err
			}

			if slices.Contains(nodes, node) {
				continue
			}

			if len(nodes) == maxNodes {
				return nil, fmt.Errorf("more than %d nodes", maxNodes)
			}

			nodes = append(nodes, node)
		}
	}

	return nodes, nil
}

// parseNode checks that a node is an IP address or a DNS name, without port,
// and returns it in the form that goes into responses: as it was given.
func parseNode(text string) (string, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return text, nil
	}

	name := strings.TrimSuffix(text, ".")
	if name == "" || len(name) > 253 {
		return "", fmt.Errorf("node %.64q is neither an IP address nor a DNS name", text)
	}

	for label := range strings.SplitSeq(name, ".") {
		if !validLabel(label) {
			return "", fmt.Errorf("node %.64q is neither an IP address nor a DNS name", text)
		}
	}

	return text, nil
}

func validLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}

	return !strings.ContainsFunc(label, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// onward returns the metadata of the request to the next hop: the caller's,
// less what only this hop may say, plus the caller's roles. hop is the name of
// this node when the next hop is a gateway, and empty when it is machined.
func onward(md metadata.MD, roles rbac.Roles, hop string) metadata.MD {
	out := md.Copy()

	for _, key := range []string{nodeKey, nodesKey, hopKey, rbac.RoleMetadata} {
		out.Delete(key)
	}

	for key := range out {
		// What gRPC itself sets for each hop.
		if strings.HasPrefix(key, ":") || strings.HasPrefix(key, "grpc-") || key == "content-type" || key == "user-agent" {
			delete(out, key)
		}
	}

	out.Set(rbac.RoleMetadata, roles.Strings()...)

	if hop != "" {
		out.Set(hopKey, hop)
	}

	return out
}
