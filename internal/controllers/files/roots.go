package files

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/files"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// TrustedRootsName is the path below /etc of the certificates of the
// authorities that the system trusts.
const TrustedRootsName = "ssl/certs/ca-certificates.crt"

// TrustedRoots adds the authorities of the configuration to those of the root
// tree, which are below the folder etc. Without any there, the root tree's own
// file is shown.
func TrustedRoots(reader *configured.Reader, etc string) reconcile.Controller {
	// What the root tree has is read before the first file is shown over it.
	var own []byte

	return configured.All(reader, "secrets.TrustedRootsController",
		func(cfg *machineconfig.Config) (map[string]files.EtcFileSpec, error) {
			docs := machineconfig.All[document.TrustedRootsConfig](cfg)
			if len(docs) == 0 {
				return nil, nil
			}

			if own == nil {
				var err error
				if own, err = os.ReadFile(filepath.Join(etc, TrustedRootsName)); err != nil {
					return nil, fmt.Errorf("reading the authorities of the root tree: %w", err)
				}
			}

			return map[string]files.EtcFileSpec{
				TrustedRootsName: {Contents: trustedRoots(own, docs), Mode: defaultMode},
			}, nil
		})
}

// trustedRoots are the root tree's certificates with those of the documents
// after them.
func trustedRoots(own []byte, docs []*document.TrustedRootsConfig) string {
	text := slices.Clone(own)

	for _, doc := range docs {
		// Whatever is before a certificate must end its line.
		text = append(text, '\n')
		text = append(text, doc.Certificates...)
	}

	return string(append(text, '\n'))
}
