package early

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unsafe"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// addRandom gives the kernel random bytes by its device.
func addRandom(device string, data []byte, bits int) error {
	if bits == 0 {
		return os.WriteFile(device, data, 0)
	}

	file, err := os.OpenFile(device, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // nothing is buffered

	// struct rand_pool_info: bits, bytes, data.
	request := binary.NativeEndian.AppendUint32(nil, uint32(bits))
	request = binary.NativeEndian.AppendUint32(request, uint32(len(data)))
	request = append(request, data...)

	_, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), unix.RNDADDENTROPY, uintptr(unsafe.Pointer(&request[0])))
	if errno != 0 {
		return fmt.Errorf("adding random bytes: %w", errno)
	}

	return nil
}

// savedSize is how many random bytes a machine keeps for its next start.
const savedSize = 512

// StirSeed stirs the random bytes that the machine has kept in a file into the
// kernel's random numbers and replaces them at once, so that no two starts
// begin with the same. They do not count as random: the disk may be a copy of
// another machine's. A file that is not there is made.
func StirSeed(system System, file string) error {
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the random seed: %w", err)
	}

	if len(data) > 0 {
		if err := system.AddRandom(data, 0); err != nil {
			return fmt.Errorf("using the random seed: %w", err)
		}
	}

	return SaveSeed(file)
}

// SaveSeed keeps random bytes for the next start in a file that only root reads.
func SaveSeed(file string) error {
	data := make([]byte, savedSize)
	rand.Read(data) //nolint:errcheck // never fails

	if err := renameio.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("saving the random seed: %w", err)
	}

	return nil
}
