// Package pciids knows the names of the makers, products and classes of PCI
// devices, from the list that the community keeps (pci.ids).
package pciids

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Path is where the list is on a machine.
const Path = "/usr/share/misc/pci.ids"

// Device are the numbers of a device, in hexadecimal digits as the kernel
// writes them, without 0x.
type Device struct {
	Vendor, Product string // four digits
	Class, Subclass string // two digits
}

// Names are the names for the numbers of a [Device]; "" where the list has none.
type Names struct {
	Vendor, Product, Class, Subclass string
}

// Find looks devices up in a list. It reads the list once and keeps nothing else
// of it.
func Find(list io.Reader, devices []Device) (map[Device]Names, error) {
	out := map[Device]Names{}
	for _, d := range devices {
		out[d] = Names{}
	}

	var section, first string // "" or "C", and the number of the last line that is not set in

	lines := bufio.NewScanner(list)
	for lines.Scan() {
		line := lines.Text()

		inner, setIn := strings.CutPrefix(line, "\t")
		if strings.HasPrefix(line, "#") || strings.HasPrefix(inner, "\t") {
			continue // comments, and what is set in twice
		}

		number, name, ok := strings.Cut(inner, "  ")
		if !ok {
			continue
		}

		if !setIn {
			section, first = "", number
			if kind, rest, ok := strings.Cut(number, " "); ok {
				section, first = kind, rest
			}

			number = ""
		}

		for device, names := range out {
			names.learn(device, section, first, number, name)
			out[device] = names
		}
	}

	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the list of PCI devices: %w", err)
	}

	return out, nil
}

// learn takes a line of the list: inner is the number of a line that is set in,
// below that of outer.
func (n *Names) learn(d Device, section, outer, inner, name string) {
	switch {
	case section == "" && outer == d.Vendor && inner == "":
		n.Vendor = name
	case section == "" && outer == d.Vendor && inner == d.Product:
		n.Product = name
	case section == "C" && outer == d.Class && inner == "":
		n.Class = name
	case section == "C" && outer == d.Class && inner == d.Subclass:
		n.Subclass = name
	}
}
