package server

import (
	"context"
	"errors"
	"fmt"
	"os"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
)

// etcdService is the id of etcd among the services.
const etcdService = "etcd"

// etcdData is the folder of the etcd member's database.
const etcdData = "/var/lib/etcd"

// Etcd connects to the etcd cluster of the node. On nodes without etcd its
// methods fail with ErrPrecondition, before the cluster exists with
// ErrNotReady.
type Etcd interface {
	// Local returns a client of the member on this node.
	Local(ctx context.Context) (EtcdClient, error)
	// Cluster returns a client of all members.
	Cluster(ctx context.Context) (EtcdClient, error)
	// MemberID returns the id of the member on this node.
	MemberID(ctx context.Context) (uint64, error)
}

// EtcdClient is the part of an etcd client that the API needs. The caller of
// Local or Cluster closes it.
type EtcdClient interface {
	clientv3.Cluster
	clientv3.Maintenance
	Endpoints() []string
	Close() error
}

// withEtcd calls f with a client and closes it.
func withEtcd(ctx context.Context, connect func(context.Context) (EtcdClient, error), f func(EtcdClient) error) error {
	client, err := connect(ctx)
	if err != nil {
		return fmt.Errorf("connecting to etcd: %w", err)
	}
	return errors.Join(f(client), client.Close())
}

// EtcdMemberList lists the members, as the whole cluster or as the member on
// this node sees them.
func (s machineService) EtcdMemberList(ctx context.Context, request *machine.EtcdMemberListRequest) (*machine.EtcdMemberListResponse, error) {
	members, err := s.memberList(ctx, request.GetQueryLocal())
	if err != nil {
		return nil, err
	}
	reply := &machine.EtcdMembers{Members: members}
	for _, member := range members {
		reply.LegacyMembers = append(reply.LegacyMembers, member.GetHostname())
	}
	return &machine.EtcdMemberListResponse{Messages: []*machine.EtcdMembers{reply}}, nil
}

// memberList returns the members that the whole cluster agrees on, or those
// that the member on this node knows.
func (s *Server) memberList(ctx context.Context, local bool) ([]*machine.EtcdMember, error) {
	connect := s.Etcd.Cluster
	var options []clientv3.OpOption
	if local {
		connect = s.Etcd.Local
		options = append(options, clientv3.WithSerializable())
	}
	var members []*machine.EtcdMember
	err := withEtcd(ctx, connect, func(client EtcdClient) error {
		list, err := client.MemberList(ctx, options...)
		if err != nil {
			return err
		}
		for _, member := range list.Members {
			members = append(members, &machine.EtcdMember{
				Id:         member.GetID(),
				Hostname:   member.GetName(),
				PeerUrls:   member.GetPeerURLs(),
				ClientUrls: member.GetClientURLs(),
				IsLearner:  member.GetIsLearner(),
			})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing etcd members: %w", err)
	}
	return members, nil
}

// EtcdRemoveMemberByID removes a member that is not this node's.
func (s machineService) EtcdRemoveMemberByID(ctx context.Context, request *machine.EtcdRemoveMemberByIDRequest) (*machine.EtcdRemoveMemberByIDResponse, error) {
	own, err := s.Etcd.MemberID(ctx)
	if err != nil {
		return nil, fmt.Errorf("removing etcd member: %w", err)
	}
	if own == request.GetMemberId() {
		return nil, fmt.Errorf("removing etcd member %x: it is this node's own; make the node leave instead: %w", own, ErrPrecondition)
	}
	err = withEtcd(ctx, s.Etcd.Cluster, func(client EtcdClient) error {
		_, err := client.MemberRemove(ctx, request.GetMemberId())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("removing etcd member %x: %w", request.GetMemberId(), err)
	}
	return &machine.EtcdRemoveMemberByIDResponse{Messages: []*machine.EtcdRemoveMemberByID{{}}}, nil
}

// EtcdLeaveCluster takes this node's member out of the cluster, stops it and
// removes its data.
func (s machineService) EtcdLeaveCluster(ctx context.Context, _ *machine.EtcdLeaveClusterRequest) (*machine.EtcdLeaveClusterResponse, error) {
	if err := s.leaveEtcd(ctx); err != nil {
		return nil, fmt.Errorf("leaving etcd cluster: %w", err)
	}
	return &machine.EtcdLeaveClusterResponse{Messages: []*machine.EtcdLeaveCluster{{}}}, nil
}

func (s *Server) leaveEtcd(ctx context.Context) error {
	own, err := s.Etcd.MemberID(ctx)
	if err != nil {
		return err
	}
	err = withEtcd(ctx, s.Etcd.Cluster, func(client EtcdClient) error {
		list, err := client.MemberList(ctx)
		if err != nil {
			return fmt.Errorf("listing members: %w", err)
		}
		if len(list.Members) <= 1 {
			return fmt.Errorf("this is the only member: %w", ErrPrecondition)
		}
		if _, err := s.forfeit(ctx, own, list); err != nil {
			return err
		}
		if _, err := client.MemberRemove(ctx, own); err != nil {
			return fmt.Errorf("removing member %x: %w", own, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.Services.Stop(ctx, etcdService); err != nil {
		return fmt.Errorf("stopping etcd: %w", err)
	}
	return s.emptyEtcdData()
}

// emptyEtcdData removes what is in the data folder and not the folder, which
// may be a mount.
func (s *Server) emptyEtcdData() error {
	folder := s.path(etcdData)
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing etcd data: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("removing etcd data: %w", err)
	}
	defer func() { _ = root.Close() }()
	for _, entry := range entries {
		if err := root.RemoveAll(entry.Name()); err != nil {
			return fmt.Errorf("removing etcd data: %w", err)
		}
	}
	return nil
}

// EtcdForfeitLeadership hands the leadership to another member when this
// node's member has it. The reply names the new leader; it is empty when there
// was nothing to hand over.
func (s machineService) EtcdForfeitLeadership(ctx context.Context, _ *machine.EtcdForfeitLeadershipRequest) (*machine.EtcdForfeitLeadershipResponse, error) {
	own, err := s.Etcd.MemberID(ctx)
	if err != nil {
		return nil, fmt.Errorf("forfeiting etcd leadership: %w", err)
	}
	reply := &machine.EtcdForfeitLeadership{}
	err = withEtcd(ctx, s.Etcd.Cluster, func(client EtcdClient) error {
		list, err := client.MemberList(ctx)
		if err != nil {
			return fmt.Errorf("listing members: %w", err)
		}
		reply.Member, err = s.forfeit(ctx, own, list)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("forfeiting etcd leadership: %w", err)
	}
	return &machine.EtcdForfeitLeadershipResponse{Messages: []*machine.EtcdForfeitLeadership{reply}}, nil
}

// forfeit moves the leadership away from the member own and returns the name
// of the new leader, or nothing when own did not lead.
func (s *Server) forfeit(ctx context.Context, own uint64, list *clientv3.MemberListResponse) (string, error) {
	var name string
	// Only the leader itself can hand over.
	err := withEtcd(ctx, s.Etcd.Local, func(local EtcdClient) error {
		status, err := localStatus(ctx, local)
		if err != nil {
			return err
		}
		if status.Leader != own {
			return nil
		}
		for _, member := range list.Members {
			if member.GetID() == own || member.GetIsLearner() {
				continue
			}
			if _, err := local.MoveLeader(ctx, member.GetID()); err != nil {
				return fmt.Errorf("moving leadership to member %x: %w", member.GetID(), err)
			}
			name = member.GetName()
			return nil
		}
		return fmt.Errorf("there is no other member that could lead: %w", ErrPrecondition)
	})
	return name, err
}

func localStatus(ctx context.Context, client EtcdClient) (*clientv3.StatusResponse, error) {
	endpoints := client.Endpoints()
	if len(endpoints) == 0 {
		return nil, fmt.Errorf("reading etcd status: the client has no endpoint: %w", ErrNotReady)
	}
	status, err := client.Status(ctx, endpoints[0])
	if err != nil {
		return nil, fmt.Errorf("reading etcd status: %w", err)
	}
	return status, nil
}

// EtcdStatus returns the state of this node's member.
func (s machineService) EtcdStatus(ctx context.Context, _ *emptypb.Empty) (*machine.EtcdStatusResponse, error) {
	var reply *machine.EtcdMemberStatus
	err := withEtcd(ctx, s.Etcd.Local, func(client EtcdClient) error {
		status, err := localStatus(ctx, client)
		if err != nil {
			return err
		}
		reply = &machine.EtcdMemberStatus{
			StorageVersion:   status.StorageVersion,
			MemberId:         status.Header.GetMemberId(),
			ProtocolVersion:  status.Version,
			DbSize:           status.DbSize,
			DbSizeInUse:      status.DbSizeInUse,
			Leader:           status.Leader,
			RaftIndex:        status.RaftIndex,
			RaftTerm:         status.RaftTerm,
			RaftAppliedIndex: status.RaftAppliedIndex,
			Errors:           status.Errors,
			IsLearner:        status.IsLearner,
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &machine.EtcdStatusResponse{Messages: []*machine.EtcdStatus{{MemberStatus: reply}}}, nil
}

// EtcdAlarmList lists the alarms of all members.
func (s machineService) EtcdAlarmList(ctx context.Context, _ *emptypb.Empty) (*machine.EtcdAlarmListResponse, error) {
	reply := &machine.EtcdAlarm{}
	err := withEtcd(ctx, s.Etcd.Cluster, func(client EtcdClient) error {
		list, err := client.AlarmList(ctx)
		if err == nil {
			reply.MemberAlarms = memberAlarms(list)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing etcd alarms: %w", err)
	}
	return &machine.EtcdAlarmListResponse{Messages: []*machine.EtcdAlarm{reply}}, nil
}

// EtcdAlarmDisarm clears all alarms and returns those that were cleared.
func (s machineService) EtcdAlarmDisarm(ctx context.Context, _ *emptypb.Empty) (*machine.EtcdAlarmDisarmResponse, error) {
	reply := &machine.EtcdAlarmDisarm{}
	err := withEtcd(ctx, s.Etcd.Cluster, func(client EtcdClient) error {
		// The zero member means all alarms of all members.
		list, err := client.AlarmDisarm(ctx, &clientv3.AlarmMember{})
		if err == nil {
			reply.MemberAlarms = memberAlarms(list)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("clearing etcd alarms: %w", err)
	}
	return &machine.EtcdAlarmDisarmResponse{Messages: []*machine.EtcdAlarmDisarm{reply}}, nil
}

func memberAlarms(list *clientv3.AlarmResponse) []*machine.EtcdMemberAlarm {
	var alarms []*machine.EtcdMemberAlarm
	for _, alarm := range list.Alarms {
		alarms = append(alarms, &machine.EtcdMemberAlarm{
			MemberId: alarm.GetMemberID(),
			Alarm:    machine.EtcdMemberAlarm_AlarmType(alarm.GetAlarm()),
		})
	}
	return alarms
}

// EtcdDefragment gives the free space of this member's database back. The
// member does not answer meanwhile.
func (s machineService) EtcdDefragment(ctx context.Context, _ *emptypb.Empty) (*machine.EtcdDefragmentResponse, error) {
	err := withEtcd(ctx, s.Etcd.Local, func(client EtcdClient) error {
		endpoints := client.Endpoints()
		if len(endpoints) == 0 {
			return fmt.Errorf("the client has no endpoint: %w", ErrNotReady)
		}
		_, err := client.Defragment(ctx, endpoints[0])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("defragmenting etcd: %w", err)
	}
	return &machine.EtcdDefragmentResponse{Messages: []*machine.EtcdDefragment{{}}}, nil
}

// EtcdDowngradeValidate says whether the cluster could go down to a version.
func (s machineService) EtcdDowngradeValidate(ctx context.Context, request *machine.EtcdDowngradeValidateRequest) (*machine.EtcdDowngradeValidateResponse, error) {
	version, err := s.downgrade(ctx, clientv3.DowngradeValidate, request.GetVersion())
	if err != nil {
		return nil, fmt.Errorf("validating etcd downgrade to %q: %w", request.GetVersion(), err)
	}
	return &machine.EtcdDowngradeValidateResponse{Messages: []*machine.EtcdDowngradeValidate{{ClusterDowngrade: version}}}, nil
}

// EtcdDowngradeEnable prepares the cluster for a lower version.
func (s machineService) EtcdDowngradeEnable(ctx context.Context, request *machine.EtcdDowngradeEnableRequest) (*machine.EtcdDowngradeEnableResponse, error) {
	version, err := s.downgrade(ctx, clientv3.DowngradeEnable, request.GetVersion())
	if err != nil {
		return nil, fmt.Errorf("enabling etcd downgrade to %q: %w", request.GetVersion(), err)
	}
	return &machine.EtcdDowngradeEnableResponse{Messages: []*machine.EtcdDowngradeEnable{{ClusterDowngrade: version}}}, nil
}

// EtcdDowngradeCancel gives a prepared downgrade up.
func (s machineService) EtcdDowngradeCancel(ctx context.Context, _ *emptypb.Empty) (*machine.EtcdDowngradeCancelResponse, error) {
	version, err := s.downgrade(ctx, clientv3.DowngradeCancel, "")
	if err != nil {
		return nil, fmt.Errorf("cancelling etcd downgrade: %w", err)
	}
	return &machine.EtcdDowngradeCancelResponse{Messages: []*machine.EtcdDowngradeCancel{{ClusterDowngrade: version}}}, nil
}

func (s *Server) downgrade(ctx context.Context, action clientv3.DowngradeAction, version string) (*machine.EtcdClusterDowngrade, error) {
	var reply *machine.EtcdClusterDowngrade
	err := withEtcd(ctx, s.Etcd.Cluster, func(client EtcdClient) error {
		answer, err := client.Downgrade(ctx, action, version)
		if err == nil {
			reply = &machine.EtcdClusterDowngrade{ClusterVersion: answer.Version}
		}
		return err
	})
	return reply, err
}
