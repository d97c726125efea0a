package imager

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"github.com/basalt-os/basalt/internal/build/sbom"
)

// What is added to an output's name for what is written beside it.
const (
	ChecksumSuffix = ".sha256"   // as sha256sum writes it
	BillSuffix     = ".cdx.json" // the bill of materials
)

// Published is an output with its checksum.
type Published struct {
	Path   string
	Size   int64  // bytes
	SHA256 string // hexadecimal
}

// Publish is Build for what is passed on: it also writes the output's checksum
// and, unless the output is only text, its bill of materials beside it. The bill
// has the input files, what the bills beside those say, and the system
// extensions. The monitor may be nil.
func Publish(p Profile, dir string, monitor Monitor) (Published, error) {
	p.making = &making{monitor: monitor}

	name, err := Build(p, dir)
	if err != nil {
		return Published{}, err
	}

	p.making.step("checksum and bill of materials")

	result, err := p.sum(name)
	if err == nil {
		err = WriteChecksum(name, result.SHA256)
	}

	if err == nil && len(p.requirements()) > 0 {
		err = p.writeBill(name)
	}

	if err != nil {
		return Published{}, fmt.Errorf("describing %s: %w", filepath.Base(name), err)
	}

	return result, nil
}

// WriteChecksum writes an output's SHA-256 beside it.
func WriteChecksum(name, sum string) error {
	return renameio.WriteFile(name+ChecksumSuffix, fmt.Appendf(nil, "%s  %s\n", sum, filepath.Base(name)), 0o644)
}

// sum reads a file for its checksum.
func (p Profile) sum(name string) (Published, error) {
	file, err := os.Open(name)
	if err != nil {
		return Published{}, err
	}
	defer file.Close()

	info, err := file.Stat()
	if err != nil {
		return Published{}, err
	}

	hash := sha256.New()
	if _, err := io.Copy(hash, p.making.reader(file, info.Size())); err != nil {
		return Published{}, err
	}

	return Published{Path: name, Size: info.Size(), SHA256: hex.EncodeToString(hash.Sum(nil))}, nil
}

// writeBill writes an output's bill of materials beside it.
func (p Profile) writeBill(name string) error {
	text, err := p.bill()
	if err != nil {
		return err
	}

	return renameio.WriteFile(name+BillSuffix, []byte(text), 0o644)
}

// bill is the bill of materials of an output that was made.
func (p Profile) bill() (string, error) {
	bill := sbom.Bill{Name: "basalt", Version: p.withDefaults().Version, Programs: p.making.parts}
	files := p.billed()

	for _, key := range slices.Sorted(maps.Keys(files)) {
		file, err := Profile{}.sum(files[key].Path)
		if err != nil {
			return "", err
		}

		bill.Files = append(bill.Files, sbom.File{Name: key, SHA256: file.SHA256})

		data, err := os.ReadFile(file.Path + BillSuffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}

		if err == nil {
			err = bill.Include(data)
		}

		if err != nil {
			return "", fmt.Errorf("reading the bill of materials of input.%s: %w", key, err)
		}
	}

	return bill.Encode()
}

// billed are the input files that are in the output.
func (p Profile) billed() map[string]File {
	p = p.withDefaults()
	files := p.requirements()

	if p.Output.Kind == KindInstaller {
		maps.Copy(files, map[string]File{
			"sdBoot": p.Input.SDBoot, "grubBoot": p.Input.GRUBBoot, "grubCore": p.Input.GRUBCore,
		})
	}

	maps.DeleteFunc(files, func(_ string, file File) bool { return file.Path == "" })

	return files
}
