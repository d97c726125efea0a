package cri

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCollectable(t *testing.T) {
	t.Parallel()

	const (
		kubelet = "ghcr.io/siderolabs/kubelet:v1.36.3"
		before  = "ghcr.io/siderolabs/kubelet:v1.35.4"
		next    = "ghcr.io/siderolabs/kubelet:v1.37.0"
	)

	images := []StoredImage{
		{kubelet, "sha256:2"}, {"ghcr.io/siderolabs/kubelet@sha256:2", "sha256:2"}, {before, "sha256:1"}, {next, "sha256:3"},
	}
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	unused := map[string]time.Time{}

	for _, step := range []struct {
		name   string
		after  time.Duration
		needed []string
		want   []string
	}{
		{"at first", 0, []string{kubelet}, nil},
		{"shortly before", imageGrace - time.Second, []string{kubelet}, nil},
		{"after an upgrade", imageGrace - time.Second, []string{next}, nil},
		{"what was not needed all the time", imageGrace, []string{next}, []string{before}},
		{"what was needed until the upgrade", 2*imageGrace - time.Second, []string{next},
			[]string{before, kubelet, "ghcr.io/siderolabs/kubelet@sha256:2"}},
		{"needed again", 2 * imageGrace, []string{kubelet}, []string{before}},
	} {
		got, err := collectable(images, step.needed, unused, begin.Add(step.after))
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}

	if _, err := collectable(images, []string{"NOT AN IMAGE"}, unused, begin); err == nil {
		t.Error("something that is no reference is taken for one, and everything else would go")
	}

	// Once the image itself is gone, nothing is remembered of it.
	if _, err := collectable(nil, []string{kubelet}, unused, begin); err != nil || len(unused) != 0 {
		t.Errorf("remembered: %v, %v", unused, err)
	}
}
