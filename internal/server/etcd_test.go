package server_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/service"
)

// members sets the members of the etcd cluster; the first is the node's own.
func (n *node) members(leader uint64, ids ...uint64) {
	n.etcd.id = ids[0]
	n.etcd.client.status = clientv3.StatusResponse{Header: &etcdserverpb.ResponseHeader{MemberId: ids[0]}, Leader: leader}
	for _, id := range ids {
		n.etcd.client.members.Members = append(n.etcd.client.members.Members, &etcdserverpb.Member{
			ID: id, Name: fmt.Sprintf("node-%d", id), PeerURLs: []string{fmt.Sprintf("https://10.0.0.%d:2380", id)},
		})
	}
}

func TestEtcdMembersAndStatus(t *testing.T) {
	n := newNode(t)
	n.members(2, 1, 2)
	n.etcd.client.members.Members[1].IsLearner = true
	client := machine.NewMachineServiceClient(n.conn)
	for _, local := range []bool{true, false} {
		reply, err := client.EtcdMemberList(t.Context(), &machine.EtcdMemberListRequest{QueryLocal: local})
		if err != nil {
			t.Fatal(err)
		}
		got := reply.GetMessages()[0]
		if diff := cmp.Diff([]string{"node-1", "node-2"}, got.GetLegacyMembers()); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
		if !got.GetMembers()[1].GetIsLearner() || got.GetMembers()[1].GetPeerUrls()[0] != "https://10.0.0.2:2380" {
			t.Errorf("got %v", got.GetMembers()[1])
		}
	}
	status, err := client.EtcdStatus(t.Context(), &emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	if got := status.GetMessages()[0].GetMemberStatus(); got.GetMemberId() != 1 || got.GetLeader() != 2 {
		t.Errorf("got %v", got)
	}
	if n.etcd.client.closed != 3 {
		t.Errorf("%d of 3 clients were closed", n.etcd.client.closed)
	}
}

func TestEtcdRemoveMember(t *testing.T) {
	n := newNode(t)
	n.members(1, 1, 2)
	client := machine.NewMachineServiceClient(n.conn)
	if _, err := client.EtcdRemoveMemberByID(t.Context(), &machine.EtcdRemoveMemberByIDRequest{MemberId: 2}); err != nil {
		t.Fatal(err)
	}
	_, err := client.EtcdRemoveMemberByID(t.Context(), &machine.EtcdRemoveMemberByIDRequest{MemberId: 1})
	wantCode(t, err, codes.FailedPrecondition)
	if diff := cmp.Diff([]uint64{2}, n.etcd.client.removed); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
}

func TestEtcdForfeitLeadership(t *testing.T) {
	for _, test := range []struct {
		name       string
		leader     uint64
		ids        []uint64
		learner    bool
		wantMember string
		wantCode   codes.Code
	}{
		{name: "leader", leader: 1, ids: []uint64{1, 2}, wantMember: "node-2"},
		{name: "follower", leader: 2, ids: []uint64{1, 2}},
		{name: "alone", leader: 1, ids: []uint64{1}, wantCode: codes.FailedPrecondition},
		{name: "only learners beside", leader: 1, ids: []uint64{1, 2}, learner: true, wantCode: codes.FailedPrecondition},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newNode(t)
			n.members(test.leader, test.ids...)
			if test.learner {
				n.etcd.client.members.Members[1].IsLearner = true
			}
			reply, err := machine.NewMachineServiceClient(n.conn).EtcdForfeitLeadership(t.Context(), &machine.EtcdForfeitLeadershipRequest{})
			wantCode(t, err, test.wantCode)
			if err == nil && reply.GetMessages()[0].GetMember() != test.wantMember {
				t.Errorf("got new leader %q, want %q", reply.GetMessages()[0].GetMember(), test.wantMember)
			}
		})
	}
}

func TestEtcdLeaveCluster(t *testing.T) {
	n := newNode(t)
	n.members(1, 1, 2)
	n.plant(t, map[string]string{"var/lib/etcd/member/snap/db": "data", "var/lib/kubelet/pods": "stays"})
	if err := n.supervisor.Add(idle("etcd", 0)); err != nil {
		t.Fatal(err)
	}
	if err := n.supervisor.Start("etcd"); err != nil {
		t.Fatal(err)
	}
	if err := n.supervisor.WaitUp(t.Context(), "etcd"); err != nil {
		t.Fatal(err)
	}
	if _, err := machine.NewMachineServiceClient(n.conn).EtcdLeaveCluster(t.Context(), &machine.EtcdLeaveClusterRequest{}); err != nil {
		t.Fatal(err)
	}
	if n.etcd.client.leader != 2 || !cmp.Equal(n.etcd.client.removed, []uint64{1}) {
		t.Errorf("leadership went to %d, removed was %v", n.etcd.client.leader, n.etcd.client.removed)
	}
	status, err := n.supervisor.Status("etcd")
	if err != nil || status.State != service.Finished {
		t.Errorf("got etcd in state %v, %v", status.State, err)
	}
	entries, err := os.ReadDir(filepath.Join(n.root, "var/lib/etcd"))
	if err != nil || len(entries) > 0 {
		t.Errorf("left of the data: %v, %v", entries, err)
	}
	if _, err := os.Stat(filepath.Join(n.root, "var/lib/kubelet/pods")); err != nil {
		t.Error(err)
	}
}

func TestTheOnlyEtcdMemberStays(t *testing.T) {
	n := newNode(t)
	n.members(1, 1)
	n.plant(t, map[string]string{"var/lib/etcd/member/snap/db": "data"})
	_, err := machine.NewMachineServiceClient(n.conn).EtcdLeaveCluster(t.Context(), &machine.EtcdLeaveClusterRequest{})
	wantCode(t, err, codes.FailedPrecondition)
	if _, err := os.Stat(filepath.Join(n.root, "var/lib/etcd/member/snap/db")); err != nil {
		t.Error(err)
	}
}

func TestEtcdSnapshot(t *testing.T) {
	n := newNode(t)
	n.etcd.client.snapshot = io.NopCloser(strings.NewReader(strings.Repeat("etcd", 100_000)))
	stream, err := machine.NewMachineServiceClient(n.conn).EtcdSnapshot(t.Context(), &machine.EtcdSnapshotRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(readAll(t, stream.Recv)); got != 400_000 {
		t.Errorf("got %d bytes", got)
	}
}

func TestEtcdMaintenance(t *testing.T) {
	n := newNode(t)
	n.etcd.client.alarms.Alarms = []*etcdserverpb.AlarmMember{{MemberID: 7, Alarm: etcdserverpb.AlarmType_NOSPACE}}
	client := machine.NewMachineServiceClient(n.conn)
	alarms, err := client.EtcdAlarmList(t.Context(), &emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	if got := alarms.GetMessages()[0].GetMemberAlarms()[0]; got.GetMemberId() != 7 || got.GetAlarm() != machine.EtcdMemberAlarm_NOSPACE {
		t.Errorf("got %v", got)
	}
	if _, err := client.EtcdAlarmDisarm(t.Context(), &emptypb.Empty{}); err != nil {
		t.Fatal(err)
	}
	if n.etcd.client.disarmed == nil || n.etcd.client.disarmed.MemberID != 0 {
		t.Errorf("got %v disarmed, want all", n.etcd.client.disarmed)
	}
	if _, err := client.EtcdDefragment(t.Context(), &emptypb.Empty{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(n.etcd.client.Endpoints(), n.etcd.client.asked); diff != "" {
		t.Errorf("defragmented endpoints (-own +asked):\n%s", diff)
	}
	downgrade, err := client.EtcdDowngradeValidate(t.Context(), &machine.EtcdDowngradeValidateRequest{Version: "3.6.0"})
	if err != nil || downgrade.GetMessages()[0].GetClusterDowngrade().GetClusterVersion() != "3.6.0" {
		t.Errorf("got %v, %v", downgrade, err)
	}
	if _, err := client.EtcdDowngradeEnable(t.Context(), &machine.EtcdDowngradeEnableRequest{Version: "3.6.0"}); err != nil {
		t.Error(err)
	}
	if _, err := client.EtcdDowngradeCancel(t.Context(), &emptypb.Empty{}); err != nil {
		t.Error(err)
	}
}

func TestEtcdErrors(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want codes.Code
	}{
		"worker":         {server.ErrPrecondition, codes.FailedPrecondition},
		"not up":         {server.ErrNotReady, codes.Unavailable},
		"etcd's own":     {rpctypes.ErrMemberNotFound, codes.NotFound},
		"anything else":  {errors.New("broken"), codes.Unknown},
		"etcd's timeout": {rpctypes.ErrTimeout, codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.etcd.err = test.err
			_, err := machine.NewMachineServiceClient(n.conn).EtcdStatus(t.Context(), &emptypb.Empty{})
			wantCode(t, err, test.want)
		})
	}
}
