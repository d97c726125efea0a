package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/sandbox"
)

// The test binary runs itself as the daemon: a sandbox cannot be left.
const (
	probeEnv = "BASALT_TEST_PROBE"
	user     = 51
)

// probe is what the daemon is told, and finding what it says.
type probe struct {
	Folder  string // visible, with the file "file" and the socket "socket"
	Hidden  string // a file that is not visible
	Bind    uint16
	Connect uint16
}

type finding struct {
	Report  sandbox.Report
	User    int
	Groups  []int
	Results map[string]string
}

func TestMain(m *testing.M) {
	if told := os.Getenv(probeEnv); told != "" {
		if err := daemon(told); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}

		return
	}

	os.Exit(m.Run())
}

// daemon enters the sandbox and tries what it should and should not be able to do.
func daemon(told string) error {
	var p probe
	if err := json.Unmarshal([]byte(told), &p); err != nil {
		return err
	}

	report, err := sandbox.Enter(sandbox.Profile{
		User:    user,
		Visible: []string{p.Folder, "/does/not/exist"},
		Links:   map[string]string{"/etc": p.Folder},
		Bind:    []uint16{p.Bind},
		Connect: []uint16{p.Connect},
	})
	if err != nil {
		return err
	}

	groups, err := os.Getgroups()
	if err != nil {
		return err
	}

	found := finding{Report: report, User: os.Getuid(), Groups: groups, Results: map[string]string{}}

	for name, try := range map[string]func() error{
		"read visible":  func() error { return read(filepath.Join(p.Folder, "file")) },
		"read link":     func() error { return read("/etc/file") },
		"read hidden":   func() error { return read(p.Hidden) },
		"write visible": func() error { return os.WriteFile(filepath.Join(p.Folder, "new"), nil, 0o600) },
		"unix socket":   func() error { return dial("unix", filepath.Join(p.Folder, "socket")) },
		"bind":          func() error { return listen(p.Bind) },
		"bind other":    func() error { return listen(0) },
		"connect":       func() error { return dial("tcp", address(p.Connect)) },
		"connect other": func() error { return dial("tcp", address(p.Connect+1)) },
		"execute":       func() error { return syscall.Exec("/proc/self/exe", []string{"x"}, nil) },
		"mount":         func() error { return unix.Mount("t", "/", "tmpfs", 0, "") },
		"unshare":       func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
		"become root":   func() error { return syscall.Setuid(0) },
		"bounding set":  boundingSet,
		"marker": func() error {
			if value, ok := os.LookupEnv("BASALT_SANDBOX"); ok {
				return errors.New(value)
			}

			return nil
		},
	} {
		found.Results[name] = outcome(try())
	}

	return json.NewEncoder(os.Stdout).Encode(found)
}

// boundingSet fails when a capability could be had back.
func boundingSet() error {
	held, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_CHOWN, 0, 0, 0)
	if err == nil && held != 0 {
		err = errors.New("held")
	}

	return err
}

// outcome is "ok" or the name of the error number.
func outcome(err error) string {
	var errno syscall.Errno

	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	default:
		return err.Error()
	}
}

func read(path string) error {
	_, err := os.ReadFile(path)

	return err
}

func dial(network, address string) error {
	conn, err := net.Dial(network, address)
	if err != nil {
		return err
	}

	return conn.Close()
}

func listen(port uint16) error {
	var config net.ListenConfig

	config.SetMultipathTCP(false)

	listener, err := config.Listen(context.Background(), "tcp", address(port))
	if err != nil {
		return err
	}

	return listener.Close()
}

func address(port uint16) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))) }

// tcp returns a listener and its port.
func tcp(t *testing.T) (net.Listener, uint16) {
	t.Helper()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	return listener, uint16(listener.Addr().(*net.TCPAddr).Port)
}

// run starts the daemon, as root or as the user of the profile.
func run(t *testing.T, asRoot bool) finding {
	t.Helper()

	if os.Getuid() != 0 {
		t.Skip("namespaces and users can be changed by root only")
	}

	dir := t.TempDir()
	p := probe{Folder: filepath.Join(dir, "visible"), Hidden: filepath.Join(dir, "hidden")}

	// Anybody may pass through, so that only the sandbox can be in the way.
	for path := dir; path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}

	if err := os.Mkdir(p.Folder, 0o755); err != nil {
		t.Fatal(err)
	}

	for _, path := range []string{filepath.Join(p.Folder, "file"), p.Hidden} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}

	socket, err := net.Listen("unix", filepath.Join(p.Folder, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()

	if err := os.Chmod(filepath.Join(p.Folder, "socket"), 0o666); err != nil {
		t.Fatal(err)
	}

	free, port := tcp(t)
	p.Bind = port

	if err := free.Close(); err != nil {
		t.Fatal(err)
	}

	open, port := tcp(t)
	defer open.Close()

	p.Connect = port

	told, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}

	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), probeEnv+"="+string(told))
	cmd.Stderr = os.Stderr

	if !asRoot {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	}

	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("daemon: %v", err)
	}

	var found finding
	if err := json.Unmarshal(output, &found); err != nil {
		t.Fatal(err)
	}

	t.Logf("%+v", found)

	return found
}

func (f *finding) want(t *testing.T, name string, outcomes ...string) {
	t.Helper()

	if got := f.Results[name]; !slices.Contains(outcomes, got) {
		t.Errorf("%s: %s, want %s", name, got, strings.Join(outcomes, " or "))
	}
}

// restricted is what holds with and without a private root.
func (f *finding) restricted(t *testing.T) {
	t.Helper()

	if f.User != user || len(f.Groups) != 0 {
		t.Errorf("user %d, groups %v", f.User, f.Groups)
	}

	for _, name := range []string{"read visible", "unix socket", "bind", "connect", "marker"} {
		f.want(t, name, "ok")
	}

	f.want(t, "become root", "EPERM")

	if f.Report.Seccomp {
		f.want(t, "execute", "EPERM")
		f.want(t, "mount", "EPERM")
		f.want(t, "unshare", "EPERM")
	}

	if f.Report.Landlock {
		f.want(t, "bind other", "EACCES")
		f.want(t, "connect other", "EACCES")
	}
}

func TestStartedAsRoot(t *testing.T) {
	found := run(t, true)
	found.restricted(t)

	if !found.Report.PrivateRoot {
		t.Error("no private root")
	}

	// Programs with C code keep theirs.
	found.want(t, "bounding set", "ok", "held")
	found.want(t, "read link", "ok")
	found.want(t, "read hidden", "ENOENT", "EACCES")
	found.want(t, "write visible", "EROFS", "EACCES")
}

func TestStartedAsUser(t *testing.T) {
	found := run(t, false)
	found.restricted(t)

	if found.Report.PrivateRoot {
		t.Error("an ordinary user cannot have a private root")
	}

	if found.Report.Landlock {
		found.want(t, "read hidden", "EACCES")
		found.want(t, "write visible", "EACCES")
	}
}
