package qemu

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/host"
)

// emulator is a folder with files that look like a QEMU that was built.
func emulator(t *testing.T) string {
	t.Helper()

	dir := t.TempDir()
	for _, name := range []string{"qemu-system-x86_64", "OVMF_CODE.fd", "OVMF_VARS.fd"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}

	return dir
}

func testNode(disks ...provision.Disk) provision.Node {
	return provision.Node{
		Name: "test-worker-1", Role: provision.Worker, Address: netip.MustParseAddr("10.5.0.2"), CPUs: 1.5, Memory: 3 << 30,
		MAC: provision.MAC{2, 0xba, 0, 0, 0, 1}, UUID: "00000000-0000-8000-8000-000000000001", Disks: disks,
	}
}

func TestArguments(t *testing.T) {
	dir := emulator(t)
	gateway := netip.MustParseAddr("10.5.0.1")

	virtio := provision.Disk{Driver: "virtio", Size: 1 << 30}

	for name, test := range map[string]struct {
		machines provision.Machines
		state    state
		disks    []provision.Disk
		want     []string // parts that stand in the arguments, in this order
		not      []string
	}{
		"disk image": {
			provision.Machines{
				UEFI: true, Accelerator: provision.TCG, Injection: provision.InjectISO, ExtraArgs: "a=b,c",
				Boot: provision.Boot{Source: provision.BootDisk, Image: "/image.raw"},
			},
			state{installed: true},
			[]provision.Disk{virtio, {Driver: "nvme", Size: 1, Serial: "data", BlockSize: 4096}},
			[]string{
				"-machine q35 -smp 2 -m 3072M", "mac=02:ba:00:00:00:01", "-device i6300esb", "-accel tcg,thread=multi -cpu max",
				"readonly=on,file=DIR/OVMF_CODE.fd", "file=NODE/firmware.fd",
				"-smbios type=11,value=io.systemd.stub.kernel-cmdline-extra=talos.config=metal-iso pti=off mitigations=off a=b,,c",
				"file=NODE/disk-0.raw", "virtio-blk-pci,drive=disk0,serial=disk0,bootindex=1",
				"nvme,drive=disk1,serial=data,bootindex=2,logical_block_size=4096,physical_block_size=4096",
				"readonly=on -device virtio-blk-pci,drive=config,serial=config",
			},
			[]string{"-kernel", "/image.raw", "reboot=shutdown"},
		},
		"ISO with a BIOS": {
			provision.Machines{
				Accelerator: provision.KVM, Injection: provision.InjectApply, ExtraArgs: "not=told", BadClock: true,
				Boot: provision.Boot{Source: provision.BootISO, Image: "/a,b.iso"},
			},
			state{},
			[]provision.Disk{{Driver: "ahci"}, {Driver: "scsi"}, {Driver: "scsi"}, {Driver: "megaraid"}, {Driver: "usb"}},
			[]string{
				"-accel kvm -cpu host", "base=2011", "ide-hd,bus=ide.0,drive=disk0",
				"virtio-scsi-pci,id=virtio0", "scsi-hd,bus=virtio0.0,drive=disk1", "scsi-hd,bus=virtio0.0,drive=disk2",
				"megasas-gen2,id=megasas0", "scsi-hd,bus=megasas0.0,drive=disk3", "qemu-xhci", "usb-storage,drive=disk4",
				"file=/a,,b.iso,readonly=on,media=cdrom -device ide-cd,bus=ide.1,drive=cd,bootindex=100",
			},
			[]string{"pflash", "not=told", "config.iso"},
		},
		"kernel": {
			provision.Machines{
				UEFI: true, Accelerator: provision.TCG, Injection: provision.InjectHTTP,
				Boot: provision.Boot{Source: provision.BootKernel, Kernel: "/k", Initramfs: "/i", Cmdline: "console=ttyS0"},
			},
			state{},
			[]provision.Disk{virtio},
			[]string{"-kernel /k -initrd /i -append console=ttyS0 talos.config=http://10.5.0.1:8090/config.yaml pti=off mitigations=off -action reboot=shutdown"},
			[]string{"type=11"},
		},
		"kernel, installed": {
			provision.Machines{
				UEFI: true, Accelerator: provision.KVM, Injection: provision.InjectNone,
				Boot: provision.Boot{Source: provision.BootKernel, Kernel: "/k", Initramfs: "/i"},
			},
			state{installed: true},
			[]provision.Disk{virtio},
			nil,
			[]string{"-kernel", "type=11"},
		},
		"kernel, always": {
			provision.Machines{
				Accelerator: provision.TCG, Injection: provision.InjectNone,
				Boot: provision.Boot{Source: provision.BootKernel, Kernel: "/k", Initramfs: "/i", Always: true},
			},
			state{installed: true},
			[]provision.Disk{virtio},
			[]string{"-kernel /k"},
			[]string{"reboot=shutdown", "pflash"},
		},
		"stick": {
			provision.Machines{
				UEFI: true, Accelerator: provision.TCG, Injection: provision.InjectNone,
				Boot: provision.Boot{Source: provision.BootUSB, Image: "/i.iso"},
			},
			state{},
			[]provision.Disk{virtio},
			[]string{"file=NODE/removable.raw -device qemu-xhci,id=qemu0 -device usb-storage,drive=stick,removable=on,bootindex=100"},
			nil,
		},
	} {
		test.machines.Arch, test.machines.Firmware = "amd64", dir

		args, err := arguments(&test.machines, gateway, testNode(test.disks...), files{"/node"}, test.state)
		if err != nil {
			t.Errorf("%s: %v", name, err)

			continue
		}

		got := strings.NewReplacer(dir, "DIR", "/node", "NODE").Replace(strings.Join(args, " "))

		for rest, i := got, 0; i < len(test.want); i++ {
			_, after, found := strings.Cut(rest, test.want[i])
			if !found {
				t.Errorf("%s: no %q, or not at its place, in\n%s", name, test.want[i], got)
			}

			rest = after
		}

		for _, part := range test.not {
			if strings.Contains(got, part) {
				t.Errorf("%s: %q in\n%s", name, part, got)
			}
		}
	}
}

func TestFind(t *testing.T) {
	t.Setenv("PATH", "/nowhere")

	dir := emulator(t)

	found, err := Find("amd64", dir, nil)
	if diff := cmp.Diff(Emulator{Program: filepath.Join(dir, "qemu-system-x86_64"), Firmware: dir}, found); diff != "" || err != nil {
		t.Error(err, diff)
	}

	other := emulator(t)
	if found, err = Find("amd64", dir, []string{other}); found.Firmware != other || err != nil {
		t.Errorf("with firmware elsewhere: %+v, %v", found, err)
	}

	if _, err := Find("amd64", t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "make image") {
		t.Errorf("without QEMU: %v", err)
	}

	if _, err := Find("mips", dir, nil); err == nil {
		t.Error("machines of an unknown architecture")
	}

	t.Setenv("PATH", other)

	if found, err = Find("amd64", dir, nil); found.Program != filepath.Join(other, "qemu-system-x86_64") || err != nil {
		t.Errorf("with QEMU in PATH: %+v, %v", found, err)
	}
}

func TestMonitor(t *testing.T) {
	ours, theirs := net.Pipe()
	m := newMonitor(ours)
	events := make(chan event, 8)
	ended := make(chan struct{})

	go func() {
		m.run(func(e event) { events <- e })
		close(ended)
	}()

	// A machine that answers in another order than it is asked, and talks on its
	// own.
	go func() {
		decoder := json.NewDecoder(theirs)

		theirs.Write([]byte(`{"QMP": {"version": {}, "capabilities": ["oob"]}}` + "\n"))

		for {
			var request struct {
				Execute string
				ID      int
			}
			if decoder.Decode(&request) != nil {
				return
			}

			id, _ := json.Marshal(request.ID)

			switch request.Execute {
			case "good":
				theirs.Write([]byte(`{"event": "RESET", "data": {"guest": true, "reason": "guest-reset"}, "timestamp": {}}`))
				theirs.Write([]byte(`{"return": {"answer": 42}, "id": 99}{"return": {"answer": 1}, "id": ` + string(id) + "}\n"))
			case "bad":
				theirs.Write([]byte(`{"id": ` + string(id) + `, "error": {"class": "CommandNotFound", "desc": "no such thing"}}` + "\n"))
			default:
				theirs.Close()

				return
			}
		}
	}()

	if result, err := m.execute("good", nil); err != nil || string(result) != `{"answer": 1}` {
		t.Errorf("got %s, %v", result, err)
	}

	if e := <-events; e.Event != "RESET" || e.Data.Reason != "guest-reset" || !e.Data.Guest {
		t.Errorf("got event %+v", e)
	}

	if _, err := m.execute("bad", nil); err == nil || err.Error() != "bad: CommandNotFound: no such thing" {
		t.Errorf("got %v", err)
	}

	if _, err := m.execute("die", nil); err == nil {
		t.Error("a machine that dies answers")
	}

	<-ended

	if _, err := m.execute("good", nil); err == nil {
		t.Error("a machine that has died answers")
	}
}

func TestDetail(t *testing.T) {
	m := &machine{kind: provision.TCG, logf: func(event) {}}

	say := func(name, reason string) {
		e := event{Event: name}
		e.Data.Reason = reason
		m.happened(e)
	}

	for _, step := range []struct{ event, reason, want string }{
		{"RESUME", "", "tcg"},
		{"RESET", "guest-reset", "tcg, reset 1 times, last by guest-reset"},
		{"GUEST_PANICKED", "", "tcg, reset 1 times, last by kernel panic, "},
		{"RESET", "guest-reset", "tcg, reset 2 times, last by kernel panic, guest-reset"},
		{"RESET", "host-qmp-system-reset", "tcg, reset 3 times, last by host-qmp-system-reset"},
	} {
		say(step.event, step.reason)

		if got := m.Detail(); got != step.want {
			t.Errorf("after %s: got %q, want %q", step.event, got, step.want)
		}
	}
}

func TestDisks(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }

	content := append(bytes.Repeat([]byte{0}, 1<<20), "in the middle"...)
	content = append(content, bytes.Repeat([]byte{0}, 1<<20)...)

	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(content)
	w.Close()

	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}

	for name, data := range map[string][]byte{"raw": content, "gz": packed.Bytes(), "zst": encoder.EncodeAll(content, nil)} {
		if err := os.WriteFile(path(name), data, 0o600); err != nil {
			t.Fatal(err)
		}

		if err := makeDisk(t.Context(), path("disk-"+name), 4<<20, path(name), dir); err != nil {
			t.Errorf("%s: %v", name, err)

			continue
		}

		got, err := os.ReadFile(path("disk-" + name))
		if err != nil || len(got) != 4<<20 || !bytes.Equal(got[:len(content)], content) {
			t.Errorf("%s: %d bytes, which are not those of the image (%v)", name, len(got), err)
		}
	}

	if err := makeDisk(t.Context(), path("empty"), 1<<30, "", dir); err != nil {
		t.Fatal(err)
	}

	if err := makeDisk(t.Context(), path("empty"), 1<<30, "", dir); err == nil {
		t.Error("a disk that exists was made again")
	}
}

func TestSnapshot(t *testing.T) {
	folder := provision.Folder(t.TempDir())
	node := testNode(provision.Disk{Driver: "virtio", Size: 1 << 20})
	f := files{folder.Node(node.Name)}
	to := t.TempDir()

	if err := os.MkdirAll(f.folder, 0o700); err != nil {
		t.Fatal(err)
	}

	write := func(text string) {
		for _, path := range []string{f.disk(0), f.variables()} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}

	write("before")

	if err := Snapshot(folder, node, to); err != nil {
		t.Fatal(err)
	}

	write("after, and longer")

	if err := Restore(folder, node, to); err != nil {
		t.Fatal(err)
	}

	for _, path := range []string{f.disk(0), f.variables()} {
		if got, err := os.ReadFile(path); err != nil || string(got) != "before" {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
}

func TestProbe(t *testing.T) {
	// Without KVM, or for another architecture, nothing is started.
	choice, err := Probe(t.Context(), "mips", "/no/such/program", "/no/such/kernel", t.TempDir())
	if err != nil || choice.Accelerator != provision.TCG || choice.Reason == "" {
		t.Errorf("got %+v, %v", choice, err)
	}
}

// TestTryKernel lets scripts be QEMU.
func TestTryKernel(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		want   provision.Accelerator
		reason string
	}{
		"works": {"echo SeaBIOS; echo '[    0.000000] Linux version 6.12'; exec sleep 60", provision.KVM, "a kernel began"},
		"hangs": {"echo Probing EDD; exec sleep 60", provision.TCG, "said nothing under KVM"},
		"ends":  {"echo 'cpu host is not supported' >&2; exit 1", provision.TCG, "cpu host is not supported"},
	} {
		program := filepath.Join(t.TempDir(), "qemu")
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+test.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}

		limit := probeTimeout
		if name == "hangs" {
			limit /= 20
		}

		choice, err := tryKernel(t.Context(), program, "/kernel", limit)
		if err != nil || choice.Accelerator != test.want || !strings.Contains(choice.Reason, test.reason) {
			t.Errorf("%s: got %+v, %v", name, choice, err)
		}
	}
}

func TestProbeKey(t *testing.T) {
	dir := t.TempDir()
	key := func(version, kernel string) string {
		program, file := filepath.Join(dir, "qemu"), filepath.Join(dir, "kernel")

		for path, text := range map[string]string{program: "#!/bin/sh\necho " + version + "\n", file: kernel} {
			if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
		}

		key, err := probeKey(context.Background(), program, file)
		if err != nil {
			t.Fatal(err)
		}

		return key
	}

	first := key("10.0", "kernel")

	if key("10.0", "kernel") != first || key("10.1", "kernel") == first || key("10.0", "other") == first {
		t.Error("the answer is not kept for what it depends on")
	}
}

func TestPreflight(t *testing.T) {
	dir := emulator(t)
	machines := provision.Machines{
		Arch: "amd64", UEFI: true, Firmware: dir, Injection: provision.InjectISO,
		Boot: provision.Boot{Source: provision.BootDisk, Image: filepath.Join(dir, "OVMF_CODE.fd")},
	}

	for name, test := range map[string]struct {
		change func(*provision.Machines)
		want   string
	}{
		"good":            {func(*provision.Machines) {}, ""},
		"no image":        {func(m *provision.Machines) { m.Boot.Image = "/no/image" }, `run "make image" first`},
		"no firmware":     {func(m *provision.Machines) { m.Firmware = "" }, "install OVMF"},
		"BIOS, an image":  {func(m *provision.Machines) { m.UEFI = false }, "--with-apply-config"},
		"BIOS, a UKI":     {func(m *provision.Machines) { m.UEFI, m.Boot.Source = false, provision.BootUKI }, "unified kernel"},
		"arm with a BIOS": {func(m *provision.Machines) { m.UEFI, m.Arch = false, "arm64" }, "have no BIOS"},
		"an unknown one":  {func(m *provision.Machines) { m.Arch = "mips" }, "mips"},
	} {
		m := machines
		test.change(&m)

		err := checkMachines(&m)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}

	if err := checkMemory([]provision.Node{{Name: "small", Memory: 1 << 20}}); err == nil || !strings.Contains(err.Error(), "small") {
		t.Errorf("a small machine: %v", err)
	}

	if err := checkMemory([]provision.Node{{Name: "large", Memory: 1 << 60}}); err == nil || !strings.Contains(err.Error(), "--memory") {
		t.Errorf("a large machine: %v", err)
	}
}

func TestConfigurations(t *testing.T) {
	node := testNode()
	cluster := &host.Cluster{
		Spec:   &provision.Spec{Name: "test", Nodes: []provision.Node{node}},
		Folder: provision.Folder(t.TempDir()),
	}

	if err := cluster.Folder.Create(cluster.Spec, map[string][]byte{node.Name: []byte("its own")}); err != nil {
		t.Fatal(err)
	}

	for from, want := range map[string]string{"10.5.0.2:1234": "its own", "10.5.0.3:1234": "no node has this address\n", "?": ""} {
		request := httptest.NewRequest(http.MethodGet, "/config.yaml", nil)
		request.RemoteAddr = from
		recorder := httptest.NewRecorder()
		configurations(cluster).ServeHTTP(recorder, request)

		if got := recorder.Body.String(); want != "" && got != want {
			t.Errorf("%s gets %q", from, got)
		}

		if ok := recorder.Code == http.StatusOK; ok != (want == "its own") {
			t.Errorf("%s gets status %d", from, recorder.Code)
		}
	}
}
