package discovery

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// errLimit says that a cluster has as much as it may have.
var errLimit = errors.New("limit reached")

// note is an affiliate as others see it.
type note struct {
	id        string
	data      []byte
	endpoints [][]byte
}

// change is what happened to one affiliate.
type change struct {
	note
	deleted bool
}

// registry is what the server knows. It has no clock, no locks and no I/O: time
// is passed in, and the caller makes sure that it is used by one goroutine.
type registry struct {
	clusters map[string]*clusterNotes
}

type clusterNotes struct {
	affiliates map[string]*affiliate
	watchers   map[*watcher]struct{}
}

type affiliate struct {
	data      []byte
	expires   time.Time
	endpoints map[string]time.Time // when each expires
}

// watcher gets the changes of a cluster. The channel is closed when the watcher
// is too slow.
type watcher struct {
	changes chan change
}

func newRegistry() *registry {
	return &registry{clusters: map[string]*clusterNotes{}}
}

// cluster returns a cluster, and makes it when there is none.
func (r *registry) cluster(id string) (*clusterNotes, error) {
	if c, ok := r.clusters[id]; ok {
		return c, nil
	}

	if len(r.clusters) >= maxClusters {
		return nil, fmt.Errorf("there are %d clusters: %w", maxClusters, errLimit)
	}

	c := &clusterNotes{affiliates: map[string]*affiliate{}, watchers: map[*watcher]struct{}{}}
	r.clusters[id] = c

	return c, nil
}

// update writes to an affiliate. Data replaces what was there; empty data leaves
// it, and how long it lives, alone. Endpoints are added to those known.
func (r *registry) update(clusterID, id string, data []byte, endpoints [][]byte, expires time.Time) error {
	c, err := r.cluster(clusterID)
	if err != nil {
		return err
	}

	a, known := c.affiliates[id]
	if !known {
		if len(c.affiliates) >= maxAffiliates {
			return fmt.Errorf("the cluster has %d affiliates: %w", maxAffiliates, errLimit)
		}

		a = &affiliate{endpoints: map[string]time.Time{}, expires: expires}
	}

	changed := !known

	// Nothing is written before all is known to fit.
	merged := maps.Clone(a.endpoints)

	for _, endpoint := range endpoints {
		if _, ok := merged[string(endpoint)]; !ok {
			changed = true
		}

		merged[string(endpoint)] = expires
	}

	if len(merged) > maxEndpoints {
		return fmt.Errorf("the affiliate has more than %d endpoints: %w", maxEndpoints, errLimit)
	}

	a.endpoints = merged

	if len(data) > 0 {
		changed = changed || !slices.Equal(a.data, data)
		a.data, a.expires = data, expires
	}

	c.affiliates[id] = a

	if changed {
		c.publish(change{note: a.note(id)})
	}

	return nil
}

// remove deletes an affiliate, if there is one.
func (r *registry) remove(clusterID, id string) {
	c, ok := r.clusters[clusterID]
	if !ok {
		return
	}

	if _, ok := c.affiliates[id]; ok {
		delete(c.affiliates, id)
		c.publish(change{note: note{id: id}, deleted: true})
	}
}

// list returns a cluster's affiliates, by ID.
func (r *registry) list(clusterID string) []note {
	c, ok := r.clusters[clusterID]
	if !ok {
		return nil
	}

	var notes []note
	for _, id := range slices.Sorted(maps.Keys(c.affiliates)) {
		notes = append(notes, c.affiliates[id].note(id))
	}

	return notes
}

// watch returns a cluster's affiliates and a watcher of all changes since.
func (r *registry) watch(clusterID string) ([]note, *watcher, error) {
	c, err := r.cluster(clusterID)
	if err != nil {
		return nil, nil, err
	}

	w := &watcher{changes: make(chan change, watchBuffer)}
	c.watchers[w] = struct{}{}

	return r.list(clusterID), w, nil
}

// unwatch ends a watcher. It may have been ended before for being slow.
func (r *registry) unwatch(clusterID string, w *watcher) {
	if c, ok := r.clusters[clusterID]; ok {
		delete(c.watchers, w)
	}
}

// expire forgets what has not been renewed, and clusters of which nobody knows
// anything any more.
func (r *registry) expire(now time.Time) {
	for clusterID, c := range r.clusters {
		for id, a := range c.affiliates {
			if !a.expires.After(now) {
				r.remove(clusterID, id)

				continue
			}

			before := len(a.endpoints)
			maps.DeleteFunc(a.endpoints, func(_ string, expires time.Time) bool { return !expires.After(now) })

			if len(a.endpoints) != before {
				c.publish(change{note: a.note(id)})
			}
		}

		if len(c.affiliates) == 0 && len(c.watchers) == 0 {
			delete(r.clusters, clusterID)
		}
	}
}

// publish tells all watchers. Those that do not keep up are ended: they lose
// nothing, because a new watch starts with everything.
func (c *clusterNotes) publish(what change) {
	for w := range c.watchers {
		select {
		case w.changes <- what:
		default:
			close(w.changes)
			delete(c.watchers, w)
		}
	}
}

func (a *affiliate) note(id string) note {
	n := note{id: id, data: a.data}
	for _, endpoint := range slices.Sorted(maps.Keys(a.endpoints)) {
		n.endpoints = append(n.endpoints, []byte(endpoint))
	}

	return n
}
