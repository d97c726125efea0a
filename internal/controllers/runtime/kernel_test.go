package runtime

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/resources/runtime"
)

func TestParamPath(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		name, want string
		ok         bool
	}{
		{"proc.sys.net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward", true},
		{"proc.sys.net/ipv4/conf/eth0.100/forwarding", "/proc/sys/net/ipv4/conf/eth0.100/forwarding", true},
		{"proc.sys.kernel.shmmax", "/proc/sys/kernel/shmmax", true},
		{"proc.sys.vm.overcommit_memory", "", false},
		{"proc.sys.net/../vm/overcommit_memory", "", false},
		{"proc.sys.net/../../uptime", "", false},
		{"sys.block.sda.queue.scheduler", "", false},
	} {
		if got, ok := (ParamFiles{Proc: "/proc", Sys: "/sys", Shared: true}).path(test.name); got != test.want || ok != test.ok {
			t.Errorf("%s: %q, %v; want %q, %v", test.name, got, ok, test.want, test.ok)
		}
	}
}

func TestSetParam(t *testing.T) {
	t.Parallel()

	proc := t.TempDir()
	file := filepath.Join(proc, "sys/net/ipv4/ip_forward")

	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(file, []byte("0\n"), 0o644); err != nil {
		t.Fatal(err)
	}

	const name = "proc.sys.net.ipv4.ip_forward"

	files := ParamFiles{Proc: proc, Shared: true}
	before := map[string]runtime.KernelParamStatus{}

	for _, value := range []string{"1", "2"} {
		got, err := files.set(name, runtime.KernelParamSpec{Value: value}, before)
		if err != nil {
			t.Fatal(err)
		}

		// The default stays what it was before anybody set it.
		if diff := cmp.Diff(runtime.KernelParamStatus{Current: value, Default: "0"}, got); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}

		before[name] = got
	}

	if _, err := files.set("proc.sys.net.missing", runtime.KernelParamSpec{}, nil); err == nil {
		t.Error("a parameter that does not exist was set")
	}

	got, err := files.set("proc.sys.net.missing", runtime.KernelParamSpec{IgnoreErrors: true}, nil)
	if err != nil || !got.Unsupported {
		t.Errorf("a parameter that may be missing: %v, %v", got, err)
	}
}

// A machine sets what is the host's in a container, tells what goes wrong, and
// restores what it had before.
func TestParamsOfMachine(t *testing.T) {
	t.Parallel()

	root := t.TempDir()
	files := ParamFiles{Proc: filepath.Join(root, "proc"), Sys: filepath.Join(root, "sys")}

	for file, text := range map[string]string{"proc/sys/vm/swappiness": "60\n", "sys/block/sda/queue/scheduler": "none\n", "proc/sys/kernel/ports": "1\t2\n"} {
		file = filepath.Join(root, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}

	for name, want := range map[string]runtime.KernelParamStatus{
		"proc.sys.vm.swappiness":        {Current: "10", Default: "60"},
		"sys.block.sda.queue.scheduler": {Current: "10", Default: "none"},
	} {
		got, err := files.set(name, runtime.KernelParamSpec{Value: "10"}, nil)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s (-want +got):\n%s%v", name, diff, err)
		}

		if err := files.restore(name, got); err != nil {
			t.Error(err)
		}

		if got, err := files.set(name, runtime.KernelParamSpec{Value: want.Default}, nil); err != nil || got.Default != want.Default {
			t.Errorf("%s restored: %v, %v", name, got, err)
		}
	}

	// Lists are the same whatever is between the numbers.
	if got, err := files.set("proc.sys.kernel.ports", runtime.KernelParamSpec{Value: "1 2"}, nil); err != nil || got.Current != "1 2" {
		t.Errorf("a list: %v, %v", got, err)
	}

	if got, err := files.set("proc.sys.none", runtime.KernelParamSpec{Value: "1"}, nil); err == nil || !got.Unsupported {
		t.Errorf("a parameter that is not there: %v, %v", got, err)
	}
}

func TestModules(t *testing.T) {
	t.Parallel()

	got := modules(fstest.MapFS{"modules": {Data: []byte(
		"nf_nat 61440 2 xt_nat,nft_nat, Live 0x0000000000000000\nloop 40960 0 - Loading 0xffff\nbroken\n")}})
	want := map[string]runtime.LoadedKernelModule{
		"nf_nat": {Size: 61440, ReferenceCount: 2, Dependencies: []string{"xt_nat", "nft_nat"}, State: "Live", Address: "0x0000000000000000"},
		"loop":   {Size: 40960, State: "Loading", Address: "0xffff"},
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}

	if none := modules(fstest.MapFS{}); none != nil {
		t.Errorf("without a list: %v", none)
	}
}

func FuzzModules(f *testing.F) {
	f.Add("nf_nat 61440 2 xt_nat,nft_nat, Live 0x0\n")

	f.Fuzz(func(t *testing.T, text string) {
		for name := range modules(fstest.MapFS{"modules": {Data: []byte(text)}}) {
			if name == "" {
				t.Error("a module without a name")
			}
		}
	})
}

func TestSecurityState(t *testing.T) {
	t.Parallel()

	const efi = "firmware/efi/efivars/"

	for about, test := range map[string]struct {
		sys  fstest.MapFS
		want runtime.SecurityState
	}{
		"nothing": {},
		"everything": {
			fstest.MapFS{
				"fs/selinux/enforce":                   {Data: []byte("1")},
				"module/module/parameters/sig_enforce": {Data: []byte("Y\n")},
				efi + efiSecure:                        {Data: []byte("\x06\x00\x00\x00\x01")},
				efi + efiStub:                          {Data: []byte("\x06\x00\x00\x00s\x00")},
			},
			runtime.SecurityState{
				SecureBoot: true, BootedWithUKI: true, ModuleSignatureEnforced: true, SELinuxState: runtime.SELinuxStateEnabledEnforcing,
			},
		},
		"something": {
			fstest.MapFS{
				"fs/selinux/enforce":                   {Data: []byte("0")},
				"module/module/parameters/sig_enforce": {Data: []byte("N\n")},
				efi + efiSecure:                        {Data: []byte("\x06\x00\x00\x00\x00")},
			},
			runtime.SecurityState{SELinuxState: runtime.SELinuxStateEnabledPermissive},
		},
	} {
		got := securityState(test.sys)
		got.FIPSState = 0 // is the program's, not the machine's

		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", about, diff)
		}
	}
}
