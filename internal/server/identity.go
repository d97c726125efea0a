package server

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/version"
)

// Version says which system this is. Clients gate their features on the tag,
// which is therefore the contract's version with ours as build metadata.
func (s machineService) Version(context.Context, *emptypb.Empty) (*machine.VersionResponse, error) {
	return &machine.VersionResponse{Messages: []*machine.Version{{
		Version: &machine.VersionInfo{
			Tag:       version.Tag,
			Sha:       version.Commit,
			GoVersion: runtime.Version(),
			Os:        runtime.GOOS,
			Arch:      runtime.GOARCH,
		},
		Platform: &machine.PlatformInfo{Name: s.Platform.Name, Mode: s.Platform.Mode},
		Features: &machine.FeaturesInfo{Rbac: true},
	}}}, nil
}

// Hostname returns the kernel's host name.
func (s machineService) Hostname(context.Context, *emptypb.Empty) (*machine.HostnameResponse, error) {
	name, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("reading host name: %w", err)
	}
	return &machine.HostnameResponse{Messages: []*machine.Hostname{{Hostname: name}}}, nil
}
