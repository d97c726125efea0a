// Command modprobe loads kernel modules. The kernel starts it when it misses a
// module, for a file system, a network protocol or a device ("modprobe -q --
// fs-xfs"); programs in privileged containers may do so too.
//
// It is a small program of its own: the kernel waits for it, and asks often.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/basalt-os/basalt/internal/cmdline"
	"github.com/basalt-os/basalt/internal/kmod"
	"github.com/basalt-os/basalt/internal/kmod/loader"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		if !errors.Is(err, errQuiet) {
			fmt.Fprintf(os.Stderr, "modprobe: %v\n", err)
		}

		os.Exit(1)
	}
}

// errQuiet is an error that the caller does not want to read.
var errQuiet = errors.New("no such module")

// request is what the arguments ask for.
type request struct {
	all   bool // every argument is a module; else those after the first are parameters
	dry   bool
	quiet bool
	words []string
}

func parse(args []string) (request, error) {
	var r request

	for i, arg := range args {
		switch arg {
		case "--":
			r.words = append(r.words, args[i+1:]...)

			return r, r.check()
		case "-q", "--quiet", "--use-blacklist", "-b", "-s", "--syslog", "-v", "--verbose":
			r.quiet = r.quiet || arg == "-q" || arg == "--quiet"
		case "-a", "--all":
			r.all = true
		case "-n", "--dry-run", "--show":
			r.dry = true
		default:
			if strings.HasPrefix(arg, "-") {
				return r, fmt.Errorf("unknown option %s", arg)
			}

			r.words = append(r.words, arg)
		}
	}

	return r, r.check()
}

func (r request) check() error {
	if len(r.words) == 0 {
		return errors.New("expected the name of a module, or an alias")
	}

	return nil
}

func run(args []string) error {
	r, err := parse(args)
	if err != nil {
		return err
	}

	line, err := cmdline.Read("/proc")
	if err != nil {
		return err
	}

	modules, err := loader.Open("/sys", line)
	if err != nil {
		return err
	}

	if !r.all {
		return r.load(modules, r.words[0], r.words[1:]...)
	}

	var errs []error
	for _, name := range r.words {
		errs = append(errs, r.load(modules, name))
	}

	return errors.Join(errs...)
}

// load loads the modules for a name or an alias.
func (r request) load(modules *loader.Loader, query string, parameters ...string) error {
	names := modules.Index().Match(query)

	switch {
	case modules.Index().Builtin(query) || r.dry && len(names) > 0:
		return nil
	case len(names) == 0 && r.quiet:
		return errQuiet
	case len(names) == 0:
		return fmt.Errorf("finding %s: %w", query, kmod.ErrUnknown)
	}

	var errs []error
	for _, name := range names {
		errs = append(errs, modules.Load(name, parameters...))
	}

	return errors.Join(errs...)
}
