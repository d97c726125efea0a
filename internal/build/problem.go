package build

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"syscall"

	"github.com/basalt-os/basalt/internal/build/debian"
)

// Problem is a build that cannot go on, in words for the person who started it.
type Problem struct {
	Component string
	What      string // what is wrong
	Remedy    string // what to do about it
	Err       error  // the cause, for those who want to know more
}

// Error is one sentence: which component, what, and the remedy.
func (p *Problem) Error() string {
	return fmt.Sprintf("building %s: %s: %s", p.Component, p.What, p.Remedy)
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

var (
	networkWords = regexp.MustCompile(`no such host|connection refused|network is unreachable|i/o timeout|TLS handshake timeout|Temporary failure resolving|Could not connect|connection reset`)
	moduleWords  = regexp.MustCompile(`unknown revision|404 Not Found|410 Gone|403 Forbidden|missing go\.sum entry|checksum mismatch|no required module provides|updates to go\.mod needed|malformed module|: reading [a-z]+://`)
	memoryWords  = regexp.MustCompile(`signal: killed|cannot allocate memory|out of memory|ld terminated with signal 9`)
	ccWords      = regexp.MustCompile(`C compiler .* not found|"gcc": executable file not found`)
)

// explain turns the usual troubles of a machine into a Problem. Others stay as
// they are, with the component's name.
func explain(component string, err error) error {
	var problem *Problem

	if err == nil || errors.Is(err, context.Canceled) || errors.As(err, &problem) {
		return err
	}

	text := err.Error()
	p := &Problem{Component: component, Err: err}

	switch {
	case errors.Is(err, syscall.ENOSPC), strings.Contains(text, "no space left on device"):
		p.What = "the disk is full"
		p.Remedy = "free about 8 GB, or point GOCACHE and BASALT_CACHE to folders on another disk, and run the build again"
	case errors.Is(err, debian.ErrNoApt):
		p.What = err.Error()
		p.Remedy = "build on a Debian or a distribution made from it, or install apt and dpkg"
	case killed(err), memoryWords.MatchString(text):
		p.What = "the compiler or the linker ran out of memory"
		p.Remedy = "close other programs or add memory or swap (4 GB are enough for every component), and run the build again"
	case networkWords.MatchString(text):
		p.What = "the network does not answer: " + firstMatch(networkWords, text)
		p.Remedy = "check the connection and the settings GOPROXY and HTTPS_PROXY, and run the build again; what is done is kept"
	case moduleWords.MatchString(text):
		p.What = "a module does not resolve: " + firstMatch(moduleWords, text)
		p.Remedy = "check that GOPROXY serves what go.sum names, or set GOPROXY=direct"
	case ccWords.MatchString(text):
		p.What = "there is no C compiler (gcc) on this machine"
		p.Remedy = installCC
	default:
		return fmt.Errorf("building %s: %w", component, err)
	}

	return p
}

// firstMatch is the line of text in which the expression matches.
func firstMatch(expression *regexp.Regexp, text string) string {
	for line := range strings.Lines(text) {
		if expression.MatchString(line) {
			return strings.TrimSpace(line)
		}
	}

	return ""
}
