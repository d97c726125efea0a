package uki

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// Folder is where images lie on the EFI system partition.
const Folder = "EFI/Linux"

// prefix begins the names of our images.
const prefix = "Basalt-"

// DefaultTries is how often the boot loader starts a new image before it goes
// back to the one before.
const DefaultTries = 3

// ErrName says that a file is not named as an image of ours.
var ErrName = errors.New("not the name of an image")

// Name is a file name taken apart: "Basalt-0.2.0~1+2-1.efi" is the second image
// of version 0.2.0 in its first of three tries.
//
// The boot loader takes one from what is left and adds one to what is done
// before it starts an image that is counted. An image without a counter is
// good: it has been started and found healthy.
type Name struct {
	Version  string // letters, digits, dots and dashes, beginning with a letter or digit
	Revision int    // tells images of one version apart; 0 is the first
	Counted  bool
	Left     int // tries
	Done     int // tries
}

var (
	versionPattern = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.-]*$`)
	namePattern    = regexp.MustCompile(
		`^` + prefix + `([0-9A-Za-z][0-9A-Za-z.-]*)(?:~([1-9][0-9]{0,5}))?(?:\+([0-9]{1,6})(?:-([0-9]{1,6}))?)?\.efi$`)
)

// ParseName reads a file name without a folder.
func ParseName(file string) (Name, error) {
	match := namePattern.FindStringSubmatch(file)
	if match == nil {
		return Name{}, fmt.Errorf("%w: %q", ErrName, file)
	}

	// The pattern leaves nothing but small numbers.
	number := func(text string) int {
		n, _ := strconv.Atoi(text)

		return n
	}

	return Name{
		Version: match[1], Revision: number(match[2]),
		Counted: match[3] != "", Left: number(match[3]), Done: number(match[4]),
	}, nil
}

// File is the file name. Versions that cannot be in a file name give ErrName.
func (n Name) File() (string, error) {
	if !versionPattern.MatchString(n.Version) || n.Revision < 0 || n.Left < 0 || n.Done < 0 {
		return "", fmt.Errorf("%w: %+v", ErrName, n)
	}

	file := prefix + n.Version

	if n.Revision > 0 {
		file += "~" + strconv.Itoa(n.Revision)
	}

	if n.Counted {
		file += "+" + strconv.Itoa(n.Left)

		if n.Done > 0 {
			file += "-" + strconv.Itoa(n.Done)
		}
	}

	return file + ".efi", nil
}

// Same reports whether both are names of one image, whatever its counter.
func (n Name) Same(other Name) bool {
	return n.Version == other.Version && n.Revision == other.Revision
}

// Bad reports whether the boot loader has used up all tries.
func (n Name) Bad() bool { return n.Counted && n.Left == 0 }

// Blessed is the name of the image once it is known to be good.
func (n Name) Blessed() Name {
	return Name{Version: n.Version, Revision: n.Revision}
}

// Fresh is a name for a new image of this version that none of the others has,
// with a new counter.
func Fresh(version string, others []Name) Name {
	n := Name{Version: version, Counted: true, Left: DefaultTries}

	for _, other := range others {
		if other.Version == version {
			n.Revision = max(n.Revision, other.Revision+1)
		}
	}

	return n
}
