package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/google/renameio/v2"
)

// snapshotVersion is that of the form below.
const snapshotVersion = 1

// snapshotFile is the state on disk. Affiliates are encrypted as they were sent.
type snapshotFile struct {
	Version  int                                     `json:"version"`
	Clusters map[string]map[string]snapshotAffiliate `json:"clusters"`
}

type snapshotAffiliate struct {
	Data      []byte             `json:"data,omitempty"`
	Expires   time.Time          `json:"expires"`
	Endpoints []snapshotEndpoint `json:"endpoints,omitempty"`
}

type snapshotEndpoint struct {
	Data    []byte    `json:"data"`
	Expires time.Time `json:"expires"`
}

// snapshot returns the state as it stands in the file.
func (r *registry) snapshot() ([]byte, error) {
	file := snapshotFile{Version: snapshotVersion, Clusters: map[string]map[string]snapshotAffiliate{}}

	for clusterID, c := range r.clusters {
		if len(c.affiliates) == 0 {
			continue
		}

		affiliates := map[string]snapshotAffiliate{}

		for id, a := range c.affiliates {
			entry := snapshotAffiliate{Data: a.data, Expires: a.expires}
			for endpoint, expires := range a.endpoints {
				entry.Endpoints = append(entry.Endpoints, snapshotEndpoint{Data: []byte(endpoint), Expires: expires})
			}

			affiliates[id] = entry
		}

		file.Clusters[clusterID] = affiliates
	}

	data, err := json.Marshal(file)
	if err != nil {
		return nil, fmt.Errorf("encoding snapshot: %w", err)
	}

	return data, nil
}

// parseSnapshot returns the state of a file, without what has expired. What
// breaks the limits of the service is an error.
func parseSnapshot(data []byte, now time.Time) (*registry, error) {
	var file snapshotFile
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("parsing snapshot: %w", err)
	}

	if file.Version != snapshotVersion {
		return nil, fmt.Errorf("parsing snapshot: it has version %d, want %d", file.Version, snapshotVersion)
	}

	r := newRegistry()

	for clusterID, affiliates := range file.Clusters {
		for id, entry := range affiliates {
			if err := r.restore(clusterID, id, entry, now); err != nil {
				return nil, fmt.Errorf("parsing snapshot: cluster %q, affiliate %q: %w", clusterID, id, err)
			}
		}
	}

	return r, nil
}

func (r *registry) restore(clusterID, id string, entry snapshotAffiliate, now time.Time) error {
	if err := errors.Join(checkID("cluster", clusterID), checkID("affiliate", id)); err != nil {
		return err
	}

	if !entry.Expires.After(now) {
		return nil
	}

	if len(entry.Data) > maxData || entry.Expires.After(now.Add(maxTTL)) {
		return errLimit
	}

	if err := r.update(clusterID, id, entry.Data, nil, entry.Expires); err != nil {
		return err
	}

	for _, endpoint := range entry.Endpoints {
		if len(endpoint.Data) == 0 || len(endpoint.Data) > maxEndpoint || endpoint.Expires.After(now.Add(maxTTL)) {
			return errLimit
		}

		if !endpoint.Expires.After(now) {
			continue
		}

		if err := r.update(clusterID, id, nil, [][]byte{endpoint.Data}, endpoint.Expires); err != nil {
			return err
		}
	}

	return nil
}

// loadSnapshot reads the file. A missing one is an empty state.
func loadSnapshot(path string, now time.Time) (*registry, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newRegistry(), nil
	}

	if err != nil {
		return nil, fmt.Errorf("reading snapshot: %w", err)
	}

	return parseSnapshot(data, now)
}

func writeSnapshot(path string, data []byte) error {
	if err := renameio.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("writing snapshot: %w", err)
	}

	return nil
}
