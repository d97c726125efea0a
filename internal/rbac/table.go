package rbac

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
)

// Rule says who may call one method.
type Rule struct {
	// Roles allow the call: having one of them is enough.
	Roles Roles
	// Maintenance are further roles that allow the call while the node is in
	// maintenance mode, that is before it has a machine configuration.
	Maintenance Roles
	// Elsewhere, when set, says what authorises the method instead of roles.
	// Such a method belongs to another server; the [Authorizer] refuses it.
	Elsewhere string
}

// Sets of roles that recur in the table.
const (
	operators = Admin | Operator
	readers   = Admin | Operator | Reader
	etcdRead  = readers | EtcdBackup
	metaWrite = Admin | MetaWriter
)

var (
	adminOnly = Rule{Roles: Admin}
	operate   = Rule{Roles: operators}
	read      = Rule{Roles: readers}
	readEtcd  = Rule{Roles: etcdRead}
	writeMeta = Rule{Roles: metaWrite}
	// setUp is what a machine without configuration must let anybody do who
	// can reach it.
	setUp = Rule{Roles: Admin, Maintenance: Reader}
)

// table is the one place that says who may call what: service, method, rule.
// It is never written to.
var table = map[string]map[string]Rule{
	"machine.MachineService": {
		"ApplyConfiguration":          setUp,
		"Bootstrap":                   adminOnly,
		"Containers":                  read,
		"Copy":                        adminOnly,
		"CPUFreqStats":                read,
		"CPUInfo":                     read,
		"DiskStats":                   read,
		"DiskUsage":                   read,
		"Dmesg":                       read,
		"EtcdAlarmDisarm":             operate,
		"EtcdAlarmList":               readEtcd,
		"EtcdDefragment":              operate,
		"EtcdDowngradeCancel":         adminOnly,
		"EtcdDowngradeEnable":         adminOnly,
		"EtcdDowngradeValidate":       adminOnly,
		"EtcdForfeitLeadership":       adminOnly,
		"EtcdLeaveCluster":            adminOnly,
		"EtcdMemberList":              readEtcd,
		"EtcdRecover":                 adminOnly,
		"EtcdRemoveMemberByID":        adminOnly,
		"EtcdSnapshot":                {Roles: Admin | EtcdBackup},
		"EtcdStatus":                  readEtcd,
		"Events":                      read,
		"GenerateClientConfiguration": adminOnly,
		"Hostname":                    read,
		"ImageList":                   read,
		"ImagePull":                   operate,
		"Kubeconfig":                  adminOnly,
		"List":                        read,
		"LoadAvg":                     read,
		"Logs":                        read,
		"LogsContainers":              read,
		"Memory":                      read,
		"MetaDelete":                  writeMeta,
		"MetaWrite":                   writeMeta,
		"Mounts":                      read,
		"Netstat":                     read,
		"NetworkDeviceStats":          read,
		"PacketCapture":               operate,
		"Processes":                   read,
		"Read":                        adminOnly,
		"Reboot":                      operate,
		"Reset":                       adminOnly,
		"Restart":                     operate,
		"Rollback":                    adminOnly,
		"ServiceList":                 read,
		"ServiceRestart":              operate,
		"ServiceStart":                operate,
		"ServiceStop":                 operate,
		"Shutdown":                    operate,
		"Stats":                       read,
		"SystemStat":                  read,
		"Upgrade":                     adminOnly,
		"Version":                     read,
	},
	"machine.ImageService": {
		"Import": adminOnly,
		"List":   read,
		"Pull":   operate,
		"Remove": adminOnly,
		"Verify": {Roles: readers | ImageVerifier},
	},
	"machine.LifecycleService": {
		"Install": adminOnly,
		"Upgrade": adminOnly,
	},
	"machine.DebugService": {
		"ContainerRun": adminOnly,
	},
	"machine.StorageService": {
		"Statfs": read,
	},
	"machine.LVMService": {
		"LogicalVolumeRemove":  setUp,
		"PhysicalVolumeRemove": setUp,
		"VolumeGroupRemove":    setUp,
	},
	"machine.MDService": {
		"Destroy": setUp,
	},
	"storage.StorageService": {
		"BlockDeviceWipe": setUp,
		"Disks":           read,
	},
	"time.TimeService": {
		"Time":      read,
		"TimeCheck": read,
	},
	"cluster.ClusterService": {
		"HealthCheck": read,
	},
	"inspect.InspectService": {
		"ControllerRuntimeDependencies": read,
	},
	// Reads of sensitive types need Admin on top, and writes are refused to
	// everybody: both are decided by the state server, which knows the types.
	"cosi.resource.State": {
		"Create":             adminOnly,
		"Destroy":            adminOnly,
		"Get":                read,
		"List":               read,
		"Teardown":           adminOnly,
		"TeardownAndDestroy": adminOnly,
		"Update":             adminOnly,
		"Watch":              read,
	},
	"securityapi.SecurityService": {
		"Certificate": {Elsewhere: "the cluster's join token, checked by trustd"},
	},
	"signerapi.SignerService": {
		"GetCertificate": {Elsewhere: "access to the signer's own socket"},
		"GetPublicKey":   {Elsewhere: "access to the signer's own socket"},
		"Sign":           {Elsewhere: "access to the signer's own socket"},
	},
	// The services below belong to the systems around a node; a node calls
	// them and never serves them.
	"sidero.discovery.server.Cluster": {
		"AffiliateDelete": {Elsewhere: "knowledge of the cluster id"},
		"AffiliateUpdate": {Elsewhere: "knowledge of the cluster id"},
		"Hello":           {Elsewhere: "knowledge of the cluster id"},
		"List":            {Elsewhere: "knowledge of the cluster id"},
		"Watch":           {Elsewhere: "knowledge of the cluster id"},
	},
	"sidero.kms.KMSService": {
		"Seal":   {Elsewhere: "the node's UUID, checked by the key server"},
		"Unseal": {Elsewhere: "the node's UUID, checked by the key server"},
	},
	"sidero.link.ProvisionService": {
		"Provision": {Elsewhere: "the fleet's join token"},
	},
	"sidero.link.WireGuardOverGRPCService": {
		"CreateStream": {Elsewhere: "the fleet's join token"},
	},
	"events.EventSinkService": {
		"Publish": {Elsewhere: "the source address inside the fleet's tunnel"},
	},
}

// RuleFor returns the rule of a method given as gRPC names it
// ("/machine.MachineService/Version"), and false when there is none.
func RuleFor(fullMethod string) (Rule, bool) {
	service, method, ok := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	if !ok {
		return Rule{}, false
	}

	rule, ok := table[service][method]

	return rule, ok
}

// Methods returns the full names of all methods that have a rule, sorted.
func Methods() []string {
	var list []string

	for service, methods := range table {
		for method := range methods {
			list = append(list, "/"+service+"/"+method)
		}
	}

	slices.Sort(list)

	return list
}

// Verify returns an error when a method of these services (as
// [grpc.Server.GetServiceInfo] gives them) has no rule. A server calls it
// before it listens, so that a forgotten rule is found at once.
func Verify(services map[string]grpc.ServiceInfo) error {
	var errs []error

	for service, info := range services {
		for _, method := range info.Methods {
			full := "/" + service + "/" + method.Name
			if _, ok := RuleFor(full); !ok {
				errs = append(errs, fmt.Errorf("method %s has no access rule", full))
			}
		}
	}

	return errors.Join(errs...)
}
