package resource

import "errors"

// What can be wrong with a request to a store. Errors that a store returns
// wrap one of these and name the resource.
var (
	ErrNotFound   = errors.New("resource does not exist")
	ErrExists     = errors.New("resource already exists")
	ErrConflict   = errors.New("resource was changed meanwhile")
	ErrOwner      = errors.New("resource belongs to another owner")
	ErrPhase      = errors.New("resource is in another phase")
	ErrFinalizers = errors.New("resource has finalizers")
	// ErrLagged ends a watch whose next event is no longer remembered, and
	// refuses one that is to resume from such an event. The watcher lists
	// again.
	ErrLagged = errors.New("events were missed")
	// ErrBookmark refuses a bookmark that this store did not hand out.
	ErrBookmark = errors.New("bookmark is not valid here")
)
