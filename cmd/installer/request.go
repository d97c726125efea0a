package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/bootloader"
	"github.com/basalt-os/basalt/internal/install"
	"github.com/basalt-os/basalt/internal/metapart"
	"github.com/basalt-os/basalt/internal/payload"
)

// Variables of the environment.
const (
	// metaVariable has the values for META: base64 of a list in YAML.
	metaVariable = "INSTALLER_META_BASE64"
	// runningVariable is the version of the system that runs, and bootedVariable
	// the name of its boot entry, where the machine knows it.
	runningVariable = "INSTALLER_RUNNING_VERSION"
	bootedVariable  = "INSTALLER_BOOTED_ENTRY"
)

// errUsage says that the command was called in a wrong way.
var errUsage = errors.New("wrong arguments")

// request is what is to be done.
type request struct {
	disk, platform, arch string
	upgrade, force, zero bool
	extraArgs            []string
	meta                 map[metapart.Key][]byte
	running, booted      string
}

func (r *request) check() error {
	if !filepath.IsAbs(r.disk) {
		return fmt.Errorf("--disk %q is no path of a device", r.disk)
	}

	if r.arch == "" {
		r.arch = runtime.GOARCH
	}

	if r.upgrade && r.zero {
		return errors.New("--upgrade keeps what --zero erases")
	}

	for _, word := range append([]string{r.platform}, r.extraArgs...) {
		if strings.ContainsAny(word, " \t\r\n\x00'") {
			return fmt.Errorf("%q is no kernel argument", word)
		}
	}

	return nil
}

// parseMeta reads the values for META out of the environment and of flags, which
// come last. Keys are numbers, also as 0x0a.
func parseMeta(encoded string, flags []string) (map[metapart.Key][]byte, error) {
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", metaVariable, err)
	}

	var list []struct {
		Key   uint8  `yaml:"key"`
		Value string `yaml:"value"`
	}

	if err := yaml.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("reading %s: %w", metaVariable, err)
	}

	values := map[metapart.Key][]byte{}
	for _, entry := range list {
		values[metapart.Key(entry.Key)] = []byte(entry.Value)
	}

	for _, flag := range flags {
		key, value, _ := strings.Cut(flag, "=")

		number, err := strconv.ParseUint(key, 0, 8)
		if err != nil {
			return nil, fmt.Errorf("--meta %q: %w", flag, err)
		}

		values[metapart.Key(number)] = []byte(value)
	}

	return values, nil
}

// exitCode is the exit code for an error, which the machine passes on.
func exitCode(err error) int {
	if err == nil {
		return 0
	}

	for code, kinds := range [...][]error{
		2: {errUsage},
		3: {payload.ErrPayload},
		4: {install.ErrTooSmall, install.ErrNotEmpty, install.ErrDisk, blockdev.ErrInUse, blockdev.ErrLocked},
		5: {bootloader.ErrNoSpace},
		6: {bootloader.ErrOnTrial},
		7: {context.Canceled},
	} {
		for _, kind := range kinds {
			if errors.Is(err, kind) {
				return code
			}
		}
	}

	return 1
}
