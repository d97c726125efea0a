package blockdev

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf16"
)

// loaderPartition is the variable in which boot loaders say which partition
// they come from.
const loaderPartition = "LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

// BootPartition is the identity of the partition that the boot loader came
// from, in lower case, out of the firmware's variables in a folder in the form
// of /sys/firmware/efi/efivars. It is empty when nobody has said so.
func BootPartition(efivars string) string {
	data, err := os.ReadFile(filepath.Join(efivars, loaderPartition))
	if err != nil || len(data) < 4 {
		return ""
	}

	data = data[4:] // attributes
	units := make([]uint16, len(data)/2)

	for i := range units {
		units[i] = binary.LittleEndian.Uint16(data[2*i:])
	}

	return strings.ToLower(strings.TrimRight(string(utf16.Decode(units)), "\x00"))
}
