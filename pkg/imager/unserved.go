package imager

import "fmt"

// Why keys of the reference system's profiles do not act.
const (
	noSecureBoot = "images are not signed for Secure Boot yet"
	noOverlays   = "overlays are for single-board computers, and those are not supported yet"
	noImageCache = "images cannot carry an image cache yet"
)

// checkUnserved refuses what a profile may ask for and does not get yet. Values
// that ask for nothing are fine.
func (p Profile) checkUnserved() []error {
	image, iso := p.Output.ImageOptions, p.Output.ISOOptions
	enrolls := func(keys string) bool { return keys != "" && keys != "off" }

	var problems []error

	for _, key := range []struct {
		name string
		set  bool
		why  string
	}{
		{"secureboot", p.SecureBoot, noSecureBoot},
		{"input.secureboot", len(p.Input.SecureBoot) > 0, noSecureBoot},
		{"output.imageOptions.sdBootEnrollKeys", enrolls(image.SDBootEnrollKeys), noSecureBoot},
		{"output.isoOptions.sdBootEnrollKeys", enrolls(iso.SDBootEnrollKeys), noSecureBoot},
		{"overlay", len(p.Overlay) > 0, noOverlays},
		{"input.overlayInstaller", len(p.Input.OverlayInstaller) > 0, noOverlays},
		{"input.imageCache", len(p.Input.ImageCache) > 0, noImageCache},
		{"output.imageOptions.diskFormatOptions", image.DiskFormatOptions != "", "disk formats have no options yet"},
	} {
		if key.set {
			problems = append(problems, fmt.Errorf("%s cannot be used: %s", key.name, key.why))
		}
	}

	return problems
}
