// Command imager makes what a machine boots from, out of a profile in YAML. See
// package imager for the profile and docs/development/machine.md for examples.
package main

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/basalt-os/basalt/pkg/imager"
)

func main() {
	err := run(os.Args[1:], os.Stdin, os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}

	if err != nil {
		fmt.Fprintln(os.Stderr, "imager:", err)
		os.Exit(1)
	}
}

// run makes the image of the profile in a file or, for "-", in stdin.
func run(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("imager", flag.ContinueOnError)
	output := flags.String("output", ".", "folder for the result")
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

	name, err := imager.Build(profile, *output)
	if err != nil {
		return err
	}

	return describe(stdout, name)
}

// describe prints the checksum, in the form of sha256sum, and the size.
func describe(w io.Writer, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()

	hash := sha256.New()

	size, err := io.Copy(hash, file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", filepath.Base(name), err)
	}

	_, err = fmt.Fprintf(w, "%x  %s\n%d bytes\n", hash.Sum(nil), name, size)

	return err
}
