package block

import "github.com/basalt-os/basalt/internal/controllers/block/volumes"

// metaID is the volume that tells which disk is the system's.
const metaID = volumes.Meta
