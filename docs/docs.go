// Package docs has the guides, and finds in them the commands that tests run,
// so that no guide shows a command that does not work.
//
// A fenced block of shell commands says where it runs:
//
//   - "```sh offline": in an empty folder that all such blocks of one guide
//     share, in order, with basaltctl in the PATH. The tests of this package
//     run them.
//   - "```sh cluster": the same, with a cluster of one control plane and one
//     worker that is healthy, to which TALOSCONFIG and KUBECONFIG lead, and
//     kubectl in the PATH. The end-to-end tests run them. NODE is the address
//     of the control plane, WORKER that of the worker. Blocks leave the cluster
//     as they have found it.
//   - "```sh": not run; creates or destroys what tests make by themselves.
//
// The pages below reference/ are generated.
package docs

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:generate go run ./internal/generate

//go:embed *.md
var guides embed.FS

// Where says where the commands of a block run.
type Where string

// The places.
const (
	Offline Where = "offline"
	Cluster Where = "cluster"
	Nowhere Where = ""
)

// Block is one fenced block of shell commands.
type Block struct {
	Guide    string // file name, such as "api.md"
	Line     int    // of the first command
	Where    Where
	Commands string // for "sh -eu"
}

// Blocks returns the blocks of all guides that run in a place, by guide and in
// order. It is an error when a guide has a block with an unknown place, or one
// without an end.
func Blocks(where Where) ([]Block, error) {
	names, err := fs.Glob(guides, "*.md")
	if err != nil {
		return nil, err
	}

	var chosen []Block

	for _, name := range names {
		text, err := guides.ReadFile(name)
		if err != nil {
			return nil, err
		}

		blocks, err := parse(name, string(text))
		if err != nil {
			return nil, err
		}

		for _, block := range blocks {
			if block.Where == where {
				chosen = append(chosen, block)
			}
		}
	}

	return chosen, nil
}

// parse finds the shell blocks of one guide.
func parse(guide, text string) ([]Block, error) {
	const fence = "```"

	var (
		blocks []Block
		inside bool   // in a block of any language
		block  *Block // the shell block that we are in
		number int
	)

	for line := range strings.Lines(text) {
		number++

		info, isFence := strings.CutPrefix(strings.TrimRight(line, "\n"), fence)

		switch {
		case isFence && inside:
			inside, block = false, nil
		case isFence:
			inside = true

			language, place, _ := strings.Cut(info, " ")
			if language != "sh" {
				continue
			}

			if w := Where(place); w != Offline && w != Cluster && w != Nowhere {
				return nil, fmt.Errorf("%s:%d: commands cannot run in %q", guide, number, place)
			}

			blocks = append(blocks, Block{Guide: guide, Line: number + 1, Where: Where(place)})
			block = &blocks[len(blocks)-1]
		case block != nil:
			block.Commands += line
		}
	}

	if inside {
		return nil, fmt.Errorf("%s: a block has no end", guide)
	}

	return blocks, nil
}
