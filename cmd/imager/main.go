// Command imager makes what a machine boots from, out of a profile in YAML, with
// its checksum and its bill of materials beside it. See docs/imager.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/basalt-os/basalt/internal/cli/steps"
	"github.com/basalt-os/basalt/pkg/imager"
)

func main() {
	err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}

	if err != nil {
		fmt.Fprintln(os.Stderr, "imager:", err)
		os.Exit(1)
	}
}

// run makes the image of the profile in a file or, for "-", in stdin. It shows on
// stderr how that gets on, and writes the checksum to stdout in the form of
// sha256sum, and the size.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("imager", flag.ContinueOnError)
	output := flags.String("output", ".", "folder for the result")
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: imager [-output folder] profile.yaml|-")
		flags.PrintDefaults()
	}

	if err := flags.Parse(args); err != nil {
		return err
	}

	if flags.NArg() != 1 {
		return errors.New("name one profile, or - for standard input")
	}

	source := stdin

	if name := flags.Arg(0); name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()

		source = file
	}

	profile, err := imager.ReadProfile(source)
	if err != nil {
		return err
	}

	show := &display{printer: steps.New(stderr)}

	made, err := imager.Publish(profile, *output, show)
	show.end(err)

	if err != nil {
		return err
	}

	_, err = fmt.Fprintf(stdout, "%s  %s\n%d bytes\n", made.SHA256, made.Path, made.Size)

	return err
}

// display shows a person how an output gets on.
type display struct {
	printer *steps.Printer
	running *steps.Step // nil before the first
}

// Step implements [imager.Monitor].
func (d *display) Step(name string) {
	d.end(nil)
	d.running = d.printer.Begin(name)
}

// Advance implements [imager.Monitor].
func (d *display) Advance(done, total int64) {
	const megabyte = 1 << 20

	d.running.Detail(fmt.Sprintf("%d of %d MB", done/megabyte, total/megabyte))
}

// end ends the step that runs, if one does.
func (d *display) end(err error) {
	if d.running != nil {
		d.running.End(err)
		d.running = nil
	}
}
