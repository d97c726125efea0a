package volumes

import (
	"cmp"
	"maps"
	"slices"

	"github.com/basalt-os/basalt/internal/resources/block"
)

// Order are the IDs of volumes in the order in which they are made.
func Order(configs map[string]block.VolumeConfig) []string {
	ids := slices.Collect(maps.Keys(configs))

	slices.SortFunc(ids, func(a, b string) int { return Compare(a, configs[a], b, configs[b]) })

	return ids
}

// Compare is the order of two volumes: META, which tells where the system is,
// and STATE come first, then the waves; in a wave those that take a certain
// size come before those that take what is left, and EPHEMERAL comes last.
func Compare(aID string, a block.VolumeConfig, bID string, b block.VolumeConfig) int {
	return cmp.Or(
		cmp.Compare(wave(aID, a), wave(bID, b)), cmp.Compare(rank(aID, a), rank(bID, b)), cmp.Compare(aID, bID))
}

func wave(id string, v block.VolumeConfig) int {
	if id == Meta || id == State {
		return WaveSystem
	}

	return v.Provisioning.Wave
}

func rank(id string, v block.VolumeConfig) int {
	p := v.Provisioning.PartitionSpec

	switch {
	case id == Meta:
		return 0
	case id == State:
		return 1
	case id == Ephemeral:
		return 4
	case p.MaxSize+p.RelativeMaxSize > 0 && !p.NegativeMaxSize:
		return 2
	}

	return 3
}
