// Package e2e tells stories about real clusters: what a person does with
// basaltctl, kubectl and the API, and what must come of it.
//
// Two clusters are made with bin/basaltctl, one after the other: TestSmall has
// a control plane and a worker, TestHighAvailability has three control planes
// and a worker. Every subtest is one story. Stories that do not disturb others
// run side by side, each in its own Kubernetes namespace; those that kill,
// reboot or stop something run alone. At the end each cluster is destroyed, and
// it is checked that nothing of it is left on the machine.
//
// The stories need root and a finished build, and are skipped without:
//
//	make build && go test ./test/e2e -count=1 -timeout 30m
//
// When a story fails, the nodes' consoles and what the API tells about them
// are kept in _out/e2e/<cluster>. With BASALT_E2E_KEEP=1 the clusters are kept,
// and found again by the next run.
package e2e
