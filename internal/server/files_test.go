package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/basalt-os/basalt/api/machine"
)

// plant makes files below the node's root: a path that ends in a slash is a
// folder, a content "-> x" a symbolic link to x.
func (n *node) plant(t *testing.T, files map[string]string) {
	t.Helper()
	for path, content := range files {
		full := filepath.Join(n.root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch target, link := strings.CutPrefix(content, "-> "); {
		case strings.HasSuffix(path, "/"):
			err = os.MkdirAll(full, 0o755)
		case link:
			err = os.Symlink(target, full)
		default:
			err = os.WriteFile(full, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestRead(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("0123456789", 50_000)
	for _, test := range []struct {
		name, path string
		want       string
		code       codes.Code
	}{
		{name: "file", path: "/etc/hostname", want: "node\n"},
		{name: "large file", path: "/large", want: large},
		{name: "link", path: "/etc/link", want: "node\n"},
		{name: "absolute link stays inside", path: "/etc/absolute", want: "node\n"},
		{name: "link to the outside", path: "/etc/outside", code: codes.NotFound},
		{name: "way out", path: "/../../etc/hostname", want: "node\n"},
		{name: "missing", path: "/nothing", code: codes.NotFound},
		{name: "folder", path: "/etc", code: codes.InvalidArgument},
		{name: "relative path", path: "etc/hostname", code: codes.InvalidArgument},
		{name: "no path", path: "", code: codes.InvalidArgument},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newNode(t)
			n.plant(t, map[string]string{
				"etc/hostname": "node\n",
				"etc/link":     "-> hostname",
				"etc/absolute": "-> /etc/hostname",
				"etc/outside":  "-> " + outside,
				"large":        large,
			})
			stream, err := machine.NewMachineServiceClient(n.conn).Read(t.Context(), &machine.ReadRequest{Path: test.path})
			if err != nil {
				t.Fatal(err)
			}
			if test.code != codes.OK {
				_, err := stream.Recv()
				wantCode(t, err, test.code)
				return
			}
			if got := string(readAll(t, stream.Recv)); got != test.want {
				t.Errorf("got %d bytes, want %d", len(got), len(test.want))
			}
		})
	}
}

func TestList(t *testing.T) {
	tree := map[string]string{"a/b/c/deep": "1234", "a/file": "12", "a/link": "-> file", "other": ""}
	for _, test := range []struct {
		name    string
		request *machine.ListRequest
		want    []string
		code    codes.Code
	}{
		{name: "one level", request: &machine.ListRequest{Root: "/a"}, want: []string{".", "b", "file", "link"}},
		{name: "all levels", request: &machine.ListRequest{Root: "/a", Recurse: true}, want: []string{".", "b", "b/c", "b/c/deep", "file", "link"}},
		{name: "two levels", request: &machine.ListRequest{Root: "/a", Recurse: true, RecursionDepth: 2}, want: []string{".", "b", "b/c", "file", "link"}},
		{name: "files only", request: &machine.ListRequest{Root: "/a", Recurse: true, Types: []machine.ListRequest_Type{machine.ListRequest_REGULAR}}, want: []string{"b/c/deep", "file"}},
		{name: "links and folders", request: &machine.ListRequest{Root: "/a", Types: []machine.ListRequest_Type{machine.ListRequest_SYMLINK, machine.ListRequest_DIRECTORY}}, want: []string{".", "b", "link"}},
		{name: "a file", request: &machine.ListRequest{Root: "/a/file"}, want: []string{"."}},
		{name: "no root means all", request: &machine.ListRequest{}, want: []string{".", "a", "other"}},
		{name: "missing", request: &machine.ListRequest{Root: "/nothing"}, code: codes.NotFound},
		{name: "relative", request: &machine.ListRequest{Root: "a"}, code: codes.InvalidArgument},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newNode(t)
			n.plant(t, tree)
			stream, err := machine.NewMachineServiceClient(n.conn).List(t.Context(), test.request)
			if err != nil {
				t.Fatal(err)
			}
			infos, err := collect(stream)
			wantCode(t, err, test.code)
			var got []string
			for _, info := range infos {
				got = append(got, info.GetRelativeName())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

func TestListDescribesFiles(t *testing.T) {
	n := newNode(t)
	n.plant(t, map[string]string{"d/file": "1234", "d/link": "-> file"})
	if err := unix.Setxattr(filepath.Join(n.root, "d/file"), "user.color", []byte("red"), 0); err != nil {
		t.Logf("no extended attributes here: %v", err)
	}
	stream, err := machine.NewMachineServiceClient(n.conn).List(t.Context(), &machine.ListRequest{Root: "/d", ReportXattrs: true})
	if err != nil {
		t.Fatal(err)
	}
	infos, err := collect(stream)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*machine.FileInfo{}
	for _, info := range infos {
		if info.GetError() != "" {
			t.Errorf("%s: %s", info.GetName(), info.GetError())
		}
		byName[info.GetName()] = info
	}
	if !byName["/d"].GetIsDir() || !os.FileMode(byName["/d"].GetMode()).IsDir() {
		t.Errorf("got %v, want a folder", byName["/d"])
	}
	if got := byName["/d/file"]; got.GetSize() != 4 || got.GetModified() == 0 || os.FileMode(got.GetMode()).Perm() != 0o644 {
		t.Errorf("got %v, want 4 bytes of mode 0644", got)
	}
	if got := byName["/d/link"].GetLink(); got != "file" {
		t.Errorf("got link to %q, want file", got)
	}
}

func TestCopy(t *testing.T) {
	for _, test := range []struct {
		name, path string
		want       map[string]string
	}{
		{"folder", "/d", map[string]string{"sub/": "", "sub/two": "2", "one": "1", "link": "one", "empty": ""}},
		{"file", "/d/one", map[string]string{"one": "1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newNode(t)
			n.plant(t, map[string]string{"d/one": "1", "d/sub/two": "2", "d/link": "-> one", "d/empty": ""})
			stream, err := machine.NewMachineServiceClient(n.conn).Copy(t.Context(), &machine.CopyRequest{RootPath: test.path})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, readArchive(t, readAll(t, stream.Recv))); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCopyReadsFilesOfTheKernel(t *testing.T) {
	n := newNode(t)
	if err := os.Symlink("/proc/version", filepath.Join(n.root, "version")); err != nil {
		t.Fatal(err)
	}
	stream, err := machine.NewMachineServiceClient(n.conn).Copy(t.Context(), &machine.CopyRequest{RootPath: "/"})
	if err != nil {
		t.Fatal(err)
	}
	// The link leads outside and is kept as a link.
	want := map[string]string{"version": "/proc/version"}
	if diff := cmp.Diff(want, readArchive(t, readAll(t, stream.Recv))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestDiskUsage(t *testing.T) {
	const kib = 1024
	tree := map[string]string{"d/small": strings.Repeat("x", 4*kib), "d/sub/large": strings.Repeat("x", 64*kib)}
	for _, test := range []struct {
		name    string
		request *machine.DiskUsageRequest
		want    []string
	}{
		{"the path only", &machine.DiskUsageRequest{Paths: []string{"/d"}}, []string{"."}},
		{"folders", &machine.DiskUsageRequest{Paths: []string{"/d"}, RecursionDepth: 1}, []string{"sub", "."}},
		{"files", &machine.DiskUsageRequest{Paths: []string{"/d"}, RecursionDepth: 2, All: true}, []string{"small", "sub/large", "sub", "."}},
		{"large ones", &machine.DiskUsageRequest{Paths: []string{"/d"}, RecursionDepth: 2, All: true, Threshold: 32 * kib}, []string{"sub/large", "sub", "."}},
		{"small ones", &machine.DiskUsageRequest{Paths: []string{"/d"}, RecursionDepth: 2, All: true, Threshold: -32 * kib}, []string{"small"}},
		{"two paths", &machine.DiskUsageRequest{Paths: []string{"/d/sub", "/d/small"}}, []string{".", "."}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newNode(t)
			n.plant(t, tree)
			stream, err := machine.NewMachineServiceClient(n.conn).DiskUsage(t.Context(), test.request)
			if err != nil {
				t.Fatal(err)
			}
			infos, err := collect(stream)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, info := range infos {
				got = append(got, info.GetRelativeName())
				if info.GetSize() < 4*kib || !strings.HasPrefix(info.GetName(), "/d") {
					t.Errorf("got %v", info)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDiskUsageCountsLinkedFilesOnce(t *testing.T) {
	n := newNode(t)
	n.plant(t, map[string]string{"one/file": strings.Repeat("x", 1<<20), "two/file": strings.Repeat("x", 1<<20)})
	if err := os.Link(filepath.Join(n.root, "one/file"), filepath.Join(n.root, "one/again")); err != nil {
		t.Fatal(err)
	}
	stream, err := machine.NewMachineServiceClient(n.conn).DiskUsage(t.Context(), &machine.DiskUsageRequest{Paths: []string{"/one", "/two"}})
	if err != nil {
		t.Fatal(err)
	}
	infos, err := collect(stream)
	if err != nil {
		t.Fatal(err)
	}
	if infos[0].GetSize() != infos[1].GetSize() {
		t.Errorf("a file with two names takes %d bytes, one with one name %d", infos[0].GetSize(), infos[1].GetSize())
	}
}

func TestStatfs(t *testing.T) {
	n := newNode(t)
	client := machine.NewStorageServiceClient(n.conn)
	got, err := client.Statfs(t.Context(), &machine.StorageServiceStatfsRequest{Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	if got.GetSize() == 0 || got.GetUsed()+got.GetAvailable() > got.GetSize() {
		t.Errorf("got %v", got)
	}
	_, err = client.Statfs(t.Context(), &machine.StorageServiceStatfsRequest{Path: "/nothing"})
	wantCode(t, err, codes.NotFound)
}
