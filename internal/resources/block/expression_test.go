package block_test

import (
	"testing"

	"github.com/basalt-os/basalt/internal/resources/block"
)

func TestExpressionOnTheWire(t *testing.T) {
	for _, want := range []block.Expression{
		"",
		`system_disk`,
		`disk.size > 10u * GiB`,
		`volume.partition_label == "EPHEMERAL" && !disk.readonly`,
		`(disk.transport in ["nvme", "sata"]) ? true : disk.rotational`,
	} {
		data, err := want.MarshalWire()
		if err != nil {
			t.Fatal(err)
		}

		var got block.Expression
		if err := got.UnmarshalWire(data); err != nil {
			t.Fatal(err)
		}

		if got != want {
			t.Errorf("expression = %q, want %q", got, want)
		}
	}
}

func TestExpressionThatDoesNotParse(t *testing.T) {
	if _, err := block.Expression("disk.size >").MarshalWire(); err == nil {
		t.Error("no error")
	}
}

func FuzzExpressionUnmarshalWire(f *testing.F) {
	seed, err := block.Expression(`disk.size > 10u`).MarshalWire()
	if err != nil {
		f.Fatal(err)
	}

	f.Add(seed)

	f.Fuzz(func(t *testing.T, data []byte) {
		var e block.Expression
		if e.UnmarshalWire(data) != nil {
			return
		}

		if len(data) == 0 && e != "" {
			t.Errorf("no bytes are %q", e)
		}
	})
}
