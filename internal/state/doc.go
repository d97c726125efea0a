// Package state serves the node's resources over the API: the gRPC service
// cosi.resource.State.
//
// Clients get, list and watch every type of the table that is served, in the
// wire and the YAML form of its codec. They write nothing: resources follow
// from the configuration and from what the node observes. Types that hold
// secrets are for administrators alone.
//
// Describe stores what clients need to find their way: a resource for every
// namespace, and one for every type with its aliases and print columns.
package state
