package kubeupgrade

import (
	"bytes"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// setImage gives a component another image in a machine configuration, in the
// form in which the configuration is written: as a document of its own, or as a
// part of the older one.
func setImage(config []byte, c component, image string) ([]byte, error) {
	loaded, err := machineconfig.Load(config, machineconfig.Options{})
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}

	var change any = map[string]any{"apiVersion": "v1alpha1", "kind": c.kind, "image": image}

	if writtenOld(loaded, c) {
		change = image
		for _, step := range slices.Backward(c.legacy) {
			change = map[string]any{step: change}
		}
	}

	text, err := yaml.Marshal(change)
	if err != nil {
		return nil, fmt.Errorf("writing patch: %w", err)
	}

	patch, err := machineconfig.LoadPatch(text, machineconfig.Options{})
	if err != nil {
		return nil, fmt.Errorf("making patch: %w", err)
	}

	patched, err := loaded.Patch(patch)
	if err != nil {
		return nil, fmt.Errorf("patching configuration: %w", err)
	}

	if bytes.Equal(patched.Bytes(), loaded.Bytes()) {
		return config, nil
	}

	return patched.Bytes(), nil
}

// writtenOld says whether a component's settings are in the older document.
func writtenOld(config *machineconfig.Config, c component) bool {
	var old *document.V1Alpha1

	for _, d := range config.Documents() {
		if d.Kind == c.kind {
			return false
		}

		if v1, ok := d.Value.(*document.V1Alpha1); ok {
			old = v1
		}
	}

	if old == nil {
		return false
	}

	if c.legacy[0] == "machine" {
		return old.Machine != nil && old.Machine.Kubelet != nil
	}

	// The older form of a cluster has its endpoint there.
	return old.Cluster != nil && old.Cluster.ControlPlane != nil
}
