package build

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/basalt-os/basalt/internal/kmod"
)

// lists is the text of a profile's lists of modules.
func lists(t *testing.T, profile kernelProfile) string {
	t.Helper()

	var text strings.Builder

	for _, name := range profile.modules {
		data, err := os.ReadFile(filepath.Join(repository, listsDir, name+".txt"))
		if err != nil {
			t.Fatal(err)
		}

		text.Write(data)
	}

	return text.String()
}

func TestListsOfModules(t *testing.T) {
	for name, profile := range kernelProfiles() {
		names, err := kmod.ParseList(lists(t, profile))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}

		for _, module := range append(bootModules(), "xfs", "vfat", "virtio_net", "net/netfilter/") {
			if !slices.Contains(names, module) {
				t.Errorf("%s has no %s", name, module)
			}
		}
	}
}

// Every module that a list names is in the kernel's package.
func TestKernelsHaveTheirModules(t *testing.T) {
	dir, err := CacheDir()
	if err != nil {
		t.Skip(err)
	}

	for name, profile := range kernelProfiles() {
		t.Run(name, func(t *testing.T) {
			suffix := strings.TrimPrefix(profile.meta, "linux-image") // "-cloud-amd64", "-amd64"

			found, err := filepath.Glob(filepath.Join(dir, "results", "modules-linux-image-[0-9]*"+suffix+"-*"))
			if err != nil {
				t.Fatal(err)
			}

			tested := false

			for _, unpacked := range found {
				folders, err := filepath.Glob(filepath.Join(unpacked, kmod.Folder("*")))
				if err != nil || len(folders) != 1 {
					continue
				}

				if strings.HasSuffix(folders[0], "cloud-amd64") != (name == "cloud") {
					continue
				}

				tested = true

				if _, err := selectModules(folders[0], lists(t, profile)); err != nil {
					t.Error(err)
				}
			}

			if !tested {
				t.Skip("the cache has no kernel: run make image KERNEL=" + name)
			}
		})
	}
}

func TestUnknownKernel(t *testing.T) {
	var problem *Problem

	if _, err := kernelsOf([]string{"cloud", "toaster"}); !errors.As(err, &problem) {
		t.Errorf("error %v", err)
	}
}
