package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"

	"github.com/basalt-os/basalt/internal/resources/etcd"
	"github.com/basalt-os/basalt/internal/service"
)

const (
	joinPeriod  = 500 * time.Millisecond // between attempts to join a cluster
	joinTimeout = 5 * time.Second        // of one attempt

	promotePeriod = time.Second // between attempts to make the learner a voter

	// restoreRevisions is how far a restored cluster's revisions are ahead of
	// the snapshot's: more than any cluster makes between two snapshots.
	restoreRevisions = 1_000_000_000
)

// member knows how the etcd member of this node enters its cluster: as the
// first one, when it is told so; or as a learner of a cluster that runs.
type member struct {
	logger *slog.Logger
	data   string // folder of the member's data

	// peers returns the addresses of the other control plane nodes.
	peers func(ctx context.Context) ([]netip.Addr, error)
	// connect returns a client for the given endpoints.
	connect func(ctx context.Context, endpoints ...string) (*clientv3.Client, error)

	mu      sync.Mutex
	first   *bootstrap    // set when this member is to be the first
	arrived chan struct{} // closed when first is set
}

// bootstrap says from what a cluster begins.
type bootstrap struct {
	snapshot      string // path; empty for an empty cluster
	skipHashCheck bool
}

// Errors of a bootstrap.
var (
	errHasData     = errors.New("etcd has data already")
	errIsBootstrap = errors.New("etcd is being bootstrapped already")
)

// bootstrap makes this member the first of its cluster.
func (m *member) bootstrap(b bootstrap) error {
	has, err := m.hasData()
	if err != nil {
		return err
	}

	if has {
		return errHasData
	}

	m.mu.Lock()
	defer m.mu.Unlock()

	if m.first != nil {
		return errIsBootstrap
	}

	m.first = &b
	close(m.arrived)

	return nil
}

func (m *member) hasData() (bool, error) {
	entries, err := os.ReadDir(m.data)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}

	if err != nil {
		return false, fmt.Errorf("looking for etcd data: %w", err)
	}

	return len(entries) > 0, nil
}

// join returns once it is known how the member starts: at once when it has
// data, else when it was told to be the first, or when a running cluster has
// accepted it.
func (m *member) join(ctx context.Context, spec etcd.Spec) (entry, error) {
	own := spec.Name + "=" + urls(spec.AdvertisedAddresses, etcdPeerPort)
	said := false

	for {
		has, err := m.hasData()
		if err != nil {
			return entry{}, err
		}

		if has {
			return entry{initial: own, state: "existing"}, nil
		}

		select {
		case <-m.arrived:
			return entry{initial: own, state: "new"}, m.begin(spec, own)
		default:
		}

		initial, err := m.tryJoin(ctx, spec)
		if err == nil {
			return entry{initial: initial, state: "existing"}, nil
		}

		m.logger.Debug("joining etcd cluster", "error", err)

		if !said {
			said = true

			service.Say(ctx, "Waiting until one control plane node is told to begin the cluster (basaltctl bootstrap), or another one that runs lets it join: %v", err)
		}

		select {
		case <-time.After(joinPeriod):
		case <-m.arrived:
		case <-ctx.Done():
			return entry{}, ctx.Err()
		}
	}
}

// begin prepares the data of the first member.
func (m *member) begin(spec etcd.Spec, own string) error {
	m.mu.Lock()
	first := *m.first
	m.mu.Unlock()

	if first.snapshot == "" {
		return nil
	}

	err := snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath:        first.snapshot,
		Name:                spec.Name,
		OutputDataDir:       m.data,
		PeerURLs:            strings.Split(urls(spec.AdvertisedAddresses, etcdPeerPort), ","),
		InitialCluster:      own,
		InitialClusterToken: "etcd-cluster",
		SkipHashCheck:       first.skipHashCheck,
		// Whoever watched the old cluster must not take its revisions for ones
		// of this cluster: those go on far beyond them, and none from before
		// can be watched from.
		RevisionBump:  restoreRevisions,
		MarkCompacted: true,
	})
	if err != nil {
		return fmt.Errorf("restoring etcd snapshot: %w", err)
	}

	return os.Remove(first.snapshot)
}

// tryJoin asks a running cluster to accept this member as a learner, and
// returns the members it then has.
func (m *member) tryJoin(ctx context.Context, spec etcd.Spec) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()

	client, err := m.connectPeers(ctx)
	if err != nil {
		return "", err
	}
	defer client.Close()

	own := strings.Split(urls(spec.AdvertisedAddresses, etcdPeerPort), ",")

	list, err := client.MemberList(ctx)
	if err != nil {
		return "", fmt.Errorf("listing members: %w", err)
	}

	members := list.Members

	// An earlier attempt may have been accepted before this node went down.
	if !slices.ContainsFunc(members, func(other *etcdserverpb.Member) bool { return slices.Equal(other.PeerURLs, own) }) {
		added, err := client.MemberAddAsLearner(ctx, own)
		if err != nil {
			return "", fmt.Errorf("adding member: %w", err)
		}

		members = added.Members
	}

	return initialCluster(spec.Name, own, members), nil
}

func (m *member) connectPeers(ctx context.Context) (*clientv3.Client, error) {
	peers, err := m.peers(ctx)
	if err != nil {
		return nil, err
	}

	if len(peers) == 0 {
		return nil, errors.New("no other control plane node is known")
	}

	endpoints := make([]string, 0, len(peers))
	for _, peer := range peers {
		endpoints = append(endpoints, "https://"+net.JoinHostPort(peer.String(), etcdClientPort))
	}

	return m.connect(ctx, endpoints...)
}

// initialCluster lists members in the form of etcd's command line. A member
// that has not started yet, such as this one, has no name there.
func initialCluster(name string, own []string, members []*etcdserverpb.Member) string {
	var list []string

	for _, other := range members {
		otherName := other.Name
		if slices.Equal(other.PeerURLs, own) {
			otherName = name
		}

		for _, url := range other.PeerURLs {
			list = append(list, otherName+"="+url)
		}
	}

	slices.Sort(list)

	return strings.Join(list, ",")
}

// promote makes this member a voter if it is a learner. It asks again until
// the learner has caught up, and returns when there is nothing to do any more.
func (m *member) promote(ctx context.Context) {
	for {
		done, err := m.tryPromote(ctx)
		if done {
			return
		}

		if err != nil {
			m.logger.Debug("promoting etcd learner", "error", err)
		}

		select {
		case <-time.After(promotePeriod):
		case <-ctx.Done():
			return
		}
	}
}

func (m *member) tryPromote(ctx context.Context) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()

	local, err := m.connect(ctx, localEtcd)
	if err != nil {
		return false, err
	}
	defer local.Close()

	status, err := local.Status(ctx, localEtcd)
	if err != nil {
		return false, err
	}

	if !status.IsLearner {
		return true, nil
	}

	// A learner does not answer for the cluster: the others do.
	client, err := m.connectPeers(ctx)
	if err != nil {
		return false, err
	}
	defer client.Close()

	_, err = client.MemberPromote(ctx, status.Header.MemberId)
	if err == nil {
		m.logger.Info("etcd member promoted from learner to voter")
	}

	return err == nil || errors.Is(err, rpctypes.ErrMemberNotLearner), err
}

// promoting runs a member and makes it a voter.
type promoting struct {
	service.Runner

	member *member
}

// Run implements [service.Runner].
func (p promoting) Run(ctx context.Context, log io.Writer, started func(service.Started)) error {
	var wg sync.WaitGroup
	defer wg.Wait()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	return p.Runner.Run(ctx, log, func(s service.Started) {
		started(s)
		wg.Go(func() { p.member.promote(ctx) })
	})
}

// newMember returns the member whose data is in a folder.
func newMember(logger *slog.Logger, data string) *member {
	return &member{logger: logger, data: filepath.Clean(data), arrived: make(chan struct{})}
}
