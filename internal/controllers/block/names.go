package block

// Volumes of the system by ID.
const (
	metaID = "META"
)
