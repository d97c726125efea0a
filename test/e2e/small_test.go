package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// story is one thing that must work on a cluster.
type story struct {
	name string
	tell func(*testing.T, *cluster)
}

// sideBySide runs stories that do not disturb each other.
func sideBySide(t *testing.T, c *cluster, name string, stories []story) {
	t.Helper()

	t.Run(name, func(t *testing.T) {
		for _, s := range stories {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				s.tell(t, c)
			})
		}
	})
}

// alone runs stories one after the other.
func alone(t *testing.T, c *cluster, name string, stories []story) {
	t.Helper()

	t.Run(name, func(t *testing.T) {
		for _, s := range stories {
			t.Run(s.name, func(t *testing.T) { s.tell(t, c) })
		}
	})
}

// TestSmall tells the stories of one control plane and one worker.
func TestSmall(t *testing.T) {
	c := create(t, layout{name: "e2e-small", cidr: "10.71.0.0/24", controlPlanes: 1, workers: 1})

	sideBySide(t, c, "Kubernetes", []story{
		{"PodsOnTwoNodesTalkOverTheOverlay", podsTalkOverTheOverlay},
		{"ServiceAnswersByClusterIPNodePortAndName", serviceAnswers},
		{"PodsSeeTheirConfiguration", podsSeeTheirConfiguration},
		{"ProbesAct", probesAct},
		{"RollingUpdateLosesNoRequest", rollingUpdate},
		{"JobEnds", jobEnds},
		{"DaemonSetRunsOnEveryNode", daemonSetRunsOnEveryNode},
		{"KubectlReachesIntoPods", kubectlReachesIntoPods},
		{"DeletedStaticPodComesBack", staticPodComesBack},
	})

	sideBySide(t, c, "API", []story{
		{"VersionTellsTheContract", versionTellsTheContract},
		{"RolesAreKept", rolesAreKept},
		{"CallsFanOut", callsFanOut},
		{"SnapshotIsWhole", snapshotIsWhole},
		{"ClocksAreCompared", clocksAreCompared},
		{"LogsFollow", logsFollow},
		{"ImagesArePulledAndListed", imagesArePulledAndListed},
	})

	sideBySide(t, c, "Create", []story{
		{"FindsTheClusterThere", createFindsTheCluster},
		{"SaysWhatIsWrongAtOnce", createSaysWhatIsWrongAtOnce},
	})

	alone(t, c, "Disruption", []story{
		{"ConfigurationIsTriedAndApplied", configurationIsTriedAndApplied},
		{"EventsAndResourcesFollow", eventsAndResourcesFollow},
		{"DrainKeepsTheBudget", drainKeepsTheBudget},
		{"KilledServicesComeBack", killedServicesComeBack},
		{"RebootedNodeReturns", rebootedNodeReturns},
		{"StoppedNodeIsReportedAndReturns", stoppedNodeIsReportedAndReturns},
		{"RebootMovesPodsBefore", rebootMovesPodsBefore},
		{"ResetWorkerReturnsAsNew", resetWorkerReturnsAsNew},
		{"ResetWorkerStaysAway", resetWorkerStaysAway},
		{"CertificateIsReplacedAndNoCallEnds", certificateIsReplaced},
		{"StoppedClusterKeepsItsState", stoppedClusterKeepsItsState},
		{"SnapshotBringsTheClusterBack", snapshotBringsTheClusterBack},
	})
}

// wants says what is wrong with an answer.
func wants(want string) func(string, error) error {
	return func(got string, err error) error {
		if err == nil && got != want {
			err = fmt.Errorf("got %q, want %q", got, want)
		}

		return err
	}
}

// wantsPrefix says what is wrong with the beginning of an answer.
func wantsPrefix(want string) func(string, error) error {
	return func(got string, err error) error {
		if err == nil && !strings.HasPrefix(got, want) {
			err = fmt.Errorf("got %q, want it to begin with %q", got, want)
		}

		return err
	}
}
