package rbac_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api"
	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/rbac"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEveryMethodHasARule is the gate of the build: a method in api/ without a
// rule, or a rule without its method, fails here.
func TestEveryMethodHasARule(t *testing.T) {
	files, err := api.Compile(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	var declared []string

	for _, file := range files {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				declared = append(declared, "/"+string(service.FullName())+"/"+string(service.Methods().Get(j).Name()))
			}
		}
	}

	slices.Sort(declared)

	if diff := cmp.Diff(declared, rbac.Methods()); diff != "" {
		t.Errorf("methods in api/ (-) and in the table of rules (+) differ:\n%s", diff)
	}
}

// TestRules writes the table of the contract down a second time, in the
// shorthand that the contract uses: for each method the roles that may call it.
func TestRules(t *testing.T) {
	letters := map[rune]rbac.Roles{
		'A': rbac.Admin, 'O': rbac.Operator, 'R': rbac.Reader, 'E': rbac.EtcdBackup,
		'I': rbac.ImageVerifier, 'M': rbac.MetaWriter,
	}

	want := map[string]string{
		"/machine.MachineService/ApplyConfiguration":          "AR*",
		"/machine.MachineService/Bootstrap":                   "A",
		"/machine.MachineService/Reboot":                      "AO",
		"/machine.MachineService/Rollback":                    "A",
		"/machine.MachineService/Reset":                       "A",
		"/machine.MachineService/Shutdown":                    "AO",
		"/machine.MachineService/Upgrade":                     "A",
		"/machine.MachineService/GenerateClientConfiguration": "A",
		"/machine.MachineService/Kubeconfig":                  "A",
		"/machine.MachineService/MetaWrite":                   "AM",
		"/machine.MachineService/MetaDelete":                  "AM",
		"/machine.MachineService/ServiceList":                 "AOR",
		"/machine.MachineService/ServiceStart":                "AO",
		"/machine.MachineService/ServiceStop":                 "AO",
		"/machine.MachineService/ServiceRestart":              "AO",
		"/machine.MachineService/Containers":                  "AOR",
		"/machine.MachineService/Restart":                     "AO",
		"/machine.MachineService/Stats":                       "AOR",
		"/machine.MachineService/Logs":                        "AOR",
		"/machine.MachineService/LogsContainers":              "AOR",
		"/machine.MachineService/ImageList":                   "AOR",
		"/machine.MachineService/ImagePull":                   "AO",
		"/machine.MachineService/EtcdMemberList":              "AORE",
		"/machine.MachineService/EtcdStatus":                  "AORE",
		"/machine.MachineService/EtcdSnapshot":                "AE",
		"/machine.MachineService/EtcdRecover":                 "A",
		"/machine.MachineService/EtcdLeaveCluster":            "A",
		"/machine.MachineService/EtcdForfeitLeadership":       "A",
		"/machine.MachineService/EtcdRemoveMemberByID":        "A",
		"/machine.MachineService/EtcdAlarmList":               "AORE",
		"/machine.MachineService/EtcdAlarmDisarm":             "AO",
		"/machine.MachineService/EtcdDefragment":              "AO",
		"/machine.MachineService/EtcdDowngradeValidate":       "A",
		"/machine.MachineService/EtcdDowngradeEnable":         "A",
		"/machine.MachineService/EtcdDowngradeCancel":         "A",
		"/machine.MachineService/Read":                        "A",
		"/machine.MachineService/Copy":                        "A",
		"/machine.MachineService/List":                        "AOR",
		"/machine.MachineService/DiskUsage":                   "AOR",
		"/machine.MachineService/Mounts":                      "AOR",
		"/machine.MachineService/Dmesg":                       "AOR",
		"/machine.MachineService/Events":                      "AOR",
		"/machine.MachineService/PacketCapture":               "AO",
		"/machine.MachineService/Netstat":                     "AOR",
		"/machine.MachineService/Processes":                   "AOR",
		"/machine.MachineService/Version":                     "AOR",
		"/machine.MachineService/Hostname":                    "AOR",
		"/machine.MachineService/CPUInfo":                     "AOR",
		"/machine.MachineService/CPUFreqStats":                "AOR",
		"/machine.MachineService/DiskStats":                   "AOR",
		"/machine.MachineService/LoadAvg":                     "AOR",
		"/machine.MachineService/Memory":                      "AOR",
		"/machine.MachineService/NetworkDeviceStats":          "AOR",
		"/machine.MachineService/SystemStat":                  "AOR",

		"/machine.ImageService/List":                            "AOR",
		"/machine.ImageService/Pull":                            "AO",
		"/machine.ImageService/Import":                          "A",
		"/machine.ImageService/Remove":                          "A",
		"/machine.ImageService/Verify":                          "AORI",
		"/machine.LifecycleService/Install":                     "A",
		"/machine.LifecycleService/Upgrade":                     "A",
		"/machine.DebugService/ContainerRun":                    "A",
		"/machine.StorageService/Statfs":                        "AOR",
		"/machine.LVMService/LogicalVolumeRemove":               "AR*",
		"/machine.LVMService/VolumeGroupRemove":                 "AR*",
		"/machine.LVMService/PhysicalVolumeRemove":              "AR*",
		"/machine.MDService/Destroy":                            "AR*",
		"/storage.StorageService/Disks":                         "AOR",
		"/storage.StorageService/BlockDeviceWipe":               "AR*",
		"/time.TimeService/Time":                                "AOR",
		"/time.TimeService/TimeCheck":                           "AOR",
		"/cluster.ClusterService/HealthCheck":                   "AOR",
		"/inspect.InspectService/ControllerRuntimeDependencies": "AOR",
		"/cosi.resource.State/Get":                              "AOR",
		"/cosi.resource.State/List":                             "AOR",
		"/cosi.resource.State/Watch":                            "AOR",
		"/cosi.resource.State/Create":                           "A",
		"/cosi.resource.State/Update":                           "A",
		"/cosi.resource.State/Destroy":                          "A",
		"/cosi.resource.State/Teardown":                         "A",
		"/cosi.resource.State/TeardownAndDestroy":               "A",
	}

	for _, method := range rbac.Methods() {
		rule, _ := rbac.RuleFor(method)
		short, listed := want[method]

		if listed == (rule.Elsewhere != "") {
			t.Errorf("%s: listed in this test: %t, authorised elsewhere: %q", method, listed, rule.Elsewhere)
		}

		// Each role alone, in and out of maintenance mode.
		for bit := rbac.Admin; bit <= rbac.Impersonator; bit <<= 1 {
			var inside, always bool

			for i, letter := range short {
				if letters[letter] == bit {
					inside = true
					always = i+1 == len(short) || short[i+1] != '*'
				}
			}

			if got := rbac.Check(bit, method, false) == nil; got != always {
				t.Errorf("%s with %s: allowed %t, want %t", method, bit, got, always)
			}

			if got := rbac.Check(bit, method, true) == nil; got != inside {
				t.Errorf("%s with %s in maintenance: allowed %t, want %t", method, bit, got, inside)
			}
		}
	}
}

func TestRoles(t *testing.T) {
	roles, unknown := rbac.Parse([]string{"os:reader", "system:masters", "os:admin", "os:reader"})

	if roles != rbac.Admin|rbac.Reader || !slices.Equal(unknown, []string{"system:masters"}) {
		t.Errorf("parsed %s, unknown %q", roles, unknown)
	}

	if diff := cmp.Diff([]string{"os:admin", "os:reader"}, roles.Strings()); diff != "" {
		t.Error(diff)
	}

	again, err := rbac.ParseStrict(rbac.All.Strings())
	if err != nil || again != rbac.All {
		t.Errorf("all roles there and back: %s, %v", again, err)
	}

	if _, err := rbac.ParseStrict([]string{"os:root"}); err == nil {
		t.Error("an unknown role was accepted")
	}

	if rbac.FromContext(t.Context()) != rbac.None {
		t.Error("an empty context has roles")
	}
}

func TestVerifyNamesMethodsWithoutRule(t *testing.T) {
	err := rbac.Verify(map[string]grpc.ServiceInfo{
		"machine.MachineService": {Methods: []grpc.MethodInfo{{Name: "Version"}, {Name: "Explode"}}},
	})
	if err == nil || err.Error() != "method /machine.MachineService/Explode has no access rule" {
		t.Errorf("got %v", err)
	}
}

// roleServer answers Version with the roles that the handler saw.
type roleServer struct {
	machine.UnimplementedMachineServiceServer
}

func (roleServer) Version(ctx context.Context, _ *emptypb.Empty) (*machine.VersionResponse, error) {
	return &machine.VersionResponse{Messages: []*machine.Version{
		{Version: &machine.VersionInfo{Tag: rbac.FromContext(ctx).String()}},
	}}, nil
}

func (roleServer) Dmesg(_ *machine.DmesgRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	return stream.Send(&common.Data{Bytes: []byte(rbac.FromContext(stream.Context()).String())})
}

func serve(t *testing.T, authorizer *rbac.Authorizer) machine.MachineServiceClient {
	t.Helper()

	server := grpc.NewServer(grpc.Creds(rbac.PeerCredentials()),
		grpc.UnaryInterceptor(authorizer.Unary()), grpc.StreamInterceptor(authorizer.Stream()))
	machine.RegisterMachineServiceServer(server, roleServer{})

	if err := rbac.Verify(server.GetServiceInfo()); err != nil {
		t.Fatal(err)
	}

	path := filepath.Join(t.TempDir(), "machine.sock")

	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}

	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()

	conn, err := grpc.NewClient("unix://"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}

		server.Stop()

		if err := <-done; err != nil {
			t.Error(err)
		}
	})

	return machine.NewMachineServiceClient(conn)
}

func TestAuthorizer(t *testing.T) {
	self := uint32(os.Getuid())

	for _, test := range []struct {
		name        string
		grants      map[uint32]rbac.Grant
		stated      []string
		maintenance bool
		wantRoles   string
		wantCode    codes.Code
		wantApply   codes.Code
	}{
		{
			name:   "a forwarder speaks for others",
			grants: map[uint32]rbac.Grant{self: {Roles: rbac.All, Forwards: true}}, stated: []string{"os:reader", "os:etcd:backup"},
			wantRoles: "os:reader,os:etcd:backup", wantApply: codes.PermissionDenied,
		},
		{
			name:     "a forwarder without stated roles has none",
			grants:   map[uint32]rbac.Grant{self: {Roles: rbac.All, Forwards: true}},
			wantCode: codes.PermissionDenied, wantApply: codes.PermissionDenied,
		},
		{
			name:   "stated roles never exceed the grant",
			grants: map[uint32]rbac.Grant{self: {Roles: rbac.Reader | rbac.MetaWriter}}, stated: []string{"os:admin", "os:reader"},
			wantRoles: "os:reader", wantApply: codes.PermissionDenied,
		},
		{
			name:      "a local process has what it was granted",
			grants:    map[uint32]rbac.Grant{self: {Roles: rbac.Admin}},
			wantRoles: "os:admin", wantApply: codes.Unimplemented,
		},
		{
			name:     "an unknown process is refused",
			grants:   map[uint32]rbac.Grant{self + 1: {Roles: rbac.All}},
			stated:   []string{"os:admin"},
			wantCode: codes.Unauthenticated, wantApply: codes.Unauthenticated,
		},
		{
			name:   "maintenance opens what sets a machine up",
			grants: map[uint32]rbac.Grant{self: {Roles: rbac.All, Forwards: true}}, stated: []string{"os:reader"},
			maintenance: true, wantRoles: "os:reader", wantApply: codes.Unimplemented,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := serve(t, &rbac.Authorizer{
				Peers:       rbac.PeersByUID(test.grants),
				Maintenance: func() bool { return test.maintenance },
			})

			ctx := t.Context()
			for _, role := range test.stated {
				ctx = metadata.AppendToOutgoingContext(ctx, rbac.RoleMetadata, role)
			}

			resp, err := client.Version(ctx, &emptypb.Empty{})
			if status.Code(err) != test.wantCode {
				t.Fatalf("Version: %v", err)
			}

			stream, err := client.Dmesg(ctx, &machine.DmesgRequest{})
			if err != nil {
				t.Fatal(err)
			}

			data, err := stream.Recv()
			if status.Code(err) != test.wantCode {
				t.Fatalf("Dmesg: %v", err)
			}

			if err == nil {
				if got := resp.GetMessages()[0].GetVersion().GetTag(); got != test.wantRoles {
					t.Errorf("unary handler saw roles %s, want %s", got, test.wantRoles)
				}

				if got := string(data.GetBytes()); got != test.wantRoles {
					t.Errorf("stream handler saw roles %s, want %s", got, test.wantRoles)
				}
			}

			// Allowed calls reach the handler, which this server does not have.
			if _, err := client.ApplyConfiguration(ctx, &machine.ApplyConfigurationRequest{}); status.Code(err) != test.wantApply {
				t.Errorf("ApplyConfiguration: %v", err)
			}
		})
	}
}

func TestPeerCredentialsNeedAUnixSocket(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()

	if _, _, err := rbac.PeerCredentials().ServerHandshake(server); err == nil {
		t.Error("a pipe passed for a Unix socket")
	}
}
