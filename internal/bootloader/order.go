package bootloader

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
)

// The rules of systemd-boot 257 for images, as far as they concern us. They are
// written down here as code because everything else follows from them, and tests
// ask this code what a machine would boot.
//
// Images lie in EFI/Linux. A name that ends in "+LEFT.efi" or "+LEFT-DONE.efi"
// has a counter, and the name without it is the ID of the entry. All entries are
// sorted:
//
//  1. those that have no tries left (LEFT is 0) come last;
//  2. by the sort key, which is the IMAGE_ID or ID of the image's os-release;
//  3. by version, IMAGE_VERSION or VERSION or VERSION_ID, the newest first;
//  4. by ID, the newest first by the same comparison.
//
// The first is started, unless an EFI variable or loader.conf names another one
// by a pattern; such an entry is started whatever its counter says, so we name
// none. Before an image with tries left is started, LEFT becomes one less and
// DONE one more, by renaming the file.
//
// What follows: a new version "+3" that is newer than a version without a
// counter comes first until its tries are used up, and last from then on. When
// the new version is not newer by rule 3 and 4, it would never be started; then
// the old one is renamed to "+0". It comes last for that as long as the new one
// has tries, and first, being the newer one, when both have none. The boot
// loader never renames "+0", nor an image without a counter: the version to go
// back to is never touched while a new one is tried.

// image is an image as systemd-boot sees it.
type image struct {
	file    string // its name, without the folder
	id      string // the same without the counter
	sortKey string
	version string
	counted bool
	left    int
	done    int
}

// suffix ends the names of images.
const suffix = ".efi"

var counterPattern = regexp.MustCompile(`(?i)^(.*)\+([0-9]{1,9})(?:-([0-9]{1,9}))?(\.efi)$`)

// parseFile reads the name of a file; false when it is no image for systemd-boot.
func parseFile(file string) (image, bool) {
	if strings.HasPrefix(file, ".") || !strings.HasSuffix(strings.ToLower(file), suffix) {
		return image{}, false
	}

	match := counterPattern.FindStringSubmatch(file)
	if match == nil {
		return image{file: file, id: file}, true
	}

	// The pattern leaves nothing but numbers that are small enough.
	left, _ := strconv.Atoi(match[2])
	done, _ := strconv.Atoi(match[3])

	return image{file: file, id: match[1] + match[4], counted: true, left: left, done: done}, true
}

// fileName is the name of the file of an entry with a counter.
func fileName(id string, counted bool, left, done int) string {
	if !counted {
		return id
	}

	base, extension := id[:len(id)-len(suffix)], id[len(id)-len(suffix):]
	counter := "+" + strconv.Itoa(left)

	if done > 0 {
		counter += "-" + strconv.Itoa(done)
	}

	return base + counter + extension
}

// described is the image with what its os-release says.
func (i image) described(release map[string]string) image {
	i.sortKey = cmp.Or(release["IMAGE_ID"], release["ID"])
	i.version = cmp.Or(release["IMAGE_VERSION"], release["VERSION"], release["VERSION_ID"], release["BUILD_ID"])

	return i
}

// compareImages orders images as systemd-boot does, the first to start first.
func compareImages(a, b image) int {
	exhausted := func(i image) int {
		if i.counted && i.left == 0 {
			return 1
		}

		return 0
	}

	old := func(i image) int {
		if i.sortKey == "" {
			return 1
		}

		return 0
	}

	if r := cmp.Or(cmp.Compare(exhausted(a), exhausted(b)), cmp.Compare(old(a), old(b))); r != 0 {
		return r
	}

	if a.sortKey != "" {
		if r := cmp.Or(cmp.Compare(a.sortKey, b.sortKey), -compareVersions(a.version, b.version)); r != 0 {
			return r
		}
	}

	if r := -compareVersions(strings.ToLower(a.id), strings.ToLower(b.id)); r != 0 {
		return r
	}

	if !a.counted || !b.counted {
		return 0
	}

	return cmp.Or(-cmp.Compare(a.left, b.left), cmp.Compare(a.done, b.done))
}

// compareVersions orders versions as systemd does, see the UAPI group's "Version
// Format Specification". It is negative when a is older.
func compareVersions(a, b string) int {
	invalid := func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("~-^.", r))
	}

	for {
		a, b = strings.TrimLeftFunc(a, invalid), strings.TrimLeftFunc(b, invalid)

		// A string that goes on with a tilde is older, even than one that ends.
		if r := comparePrefix(&a, &b, "~"); r != 0 {
			return r
		}

		if a == "" || b == "" {
			return cmp.Compare(len(a), len(b))
		}

		for _, separator := range []string{"-", "^", "."} {
			if r := comparePrefix(&a, &b, separator); r != 0 {
				return r
			}
		}

		if r := compareSegment(&a, &b); r != 0 {
			return r
		}
	}
}

// comparePrefix drops a separator from both; one that has it alone is older.
func comparePrefix(a, b *string, separator string) int {
	restA, inA := strings.CutPrefix(*a, separator)
	restB, inB := strings.CutPrefix(*b, separator)

	switch {
	case inA && !inB:
		return -1
	case inB && !inA:
		return 1
	}

	*a, *b = restA, restB

	return 0
}

// compareSegment compares and drops digits or, if neither begins with one,
// letters. Digits are newer than letters.
func compareSegment(a, b *string) int {
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	letter := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
	begins := func(s string, kind func(byte) bool) bool { return s != "" && kind(s[0]) }

	take := func(s *string, kind func(byte) bool) string {
		n := 0
		for n < len(*s) && kind((*s)[n]) {
			n++
		}

		segment := (*s)[:n]
		*s = (*s)[n:]

		return segment
	}

	if !begins(*a, digit) && !begins(*b, digit) {
		return cmp.Compare(take(a, letter), take(b, letter))
	}

	segmentA, segmentB := take(a, digit), take(b, digit)

	switch {
	case segmentA == "":
		return -1
	case segmentB == "":
		return 1
	}

	segmentA, segmentB = strings.TrimLeft(segmentA, "0"), strings.TrimLeft(segmentB, "0")

	return cmp.Or(cmp.Compare(len(segmentA), len(segmentB)), cmp.Compare(segmentA, segmentB))
}
