package dashboard

import (
	"errors"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/api/machine"
)

// nodes answers with what it is told to.
type nodes map[int]look

func (n nodes) look(i int) look { return n[i] }

func (n nodes) log(i int, service string) string {
	if service == kernelLog {
		service = "the kernel"
	}

	return "log of " + n[i].node + " " + service + "\n"
}

func sample() nodes {
	service := func(id, state string, healthy bool) *machine.ServiceInfo {
		return &machine.ServiceInfo{Id: id, State: state, Health: &machine.ServiceHealth{Healthy: healthy}}
	}

	return nodes{
		0: {
			node: "first", time: time.Unix(10, 0), stage: "running", ready: true, version: "v1", load: [3]float64{1, 2, 3},
			processors: 2, processes: 7, cpu: &machine.CPUStat{User: 10, Idle: 90},
			memory:   &machine.MemInfo{Memtotal: 4096, Memavailable: 1024},
			network:  &machine.NetDev{RxBytes: 1000, TxBytes: 2000},
			services: []*machine.ServiceInfo{service("apid", "Running", true), service("etcd", "Failed", false)},
		},
		1: {node: "second", err: errors.New("nobody answers")},
	}
}

// run gives the model the messages that a command leads to, except ticks.
func run(t *testing.T, m *model, command tea.Cmd) {
	t.Helper()

	if command == nil {
		return
	}

	switch message := command().(type) {
	case tea.BatchMsg:
		for _, c := range message {
			run(t, m, c)
		}
	case tick:
	default:
		_, next := m.Update(message)
		run(t, m, next)
	}
}

func press(t *testing.T, m *model, key tea.Key) {
	t.Helper()

	_, command := m.Update(tea.KeyPressMsg(key))
	run(t, m, command)
}

func screen(m *model) string { return ansi.Strip(m.render()) }

func TestScreen(t *testing.T) {
	source := sample()
	m := newModel(2, time.Millisecond, source)

	run(t, m, tea.Batch(m.lookAtAll(), m.fetchLog()))

	later := source[0]
	later.time = time.Unix(12, 0)
	later.cpu = &machine.CPUStat{User: 35, Idle: 165}
	later.network = &machine.NetDev{RxBytes: 5000, TxBytes: 2000}
	source[0] = later

	run(t, m, tea.Batch(m.lookAtAll(), m.fetchLog()))

	for _, want := range []string{
		"first  running, ready  v1", "load 1.00 2.00 3.00   processors 2   processes 7", " 25%",
		"3.0 MiB of 4.0 MiB", "in 2.0 kB/s   out 0 B/s", "etcd", "Failed", "log of first apid",
	} {
		if !strings.Contains(screen(m), want) {
			t.Errorf("%q is not on the screen:\n%s", want, screen(m))
		}
	}

	press(t, m, tea.Key{Code: tea.KeyDown})

	if !strings.Contains(screen(m), "log of first etcd") {
		t.Errorf("the log is not that of the second service:\n%s", screen(m))
	}

	// There is no third service.
	press(t, m, tea.Key{Code: tea.KeyDown})
	press(t, m, tea.Key{Code: 'l', Text: "l"})

	if !strings.Contains(screen(m), "log of first the kernel") {
		t.Errorf("the log is not that of the kernel:\n%s", screen(m))
	}

	press(t, m, tea.Key{Code: tea.KeyRight})

	if !strings.Contains(screen(m), "second: nobody answers") {
		t.Errorf("the error of the second node is not on the screen:\n%s", screen(m))
	}

	press(t, m, tea.Key{Code: tea.KeyRight})

	if !strings.Contains(screen(m), "first  running") {
		t.Errorf("the nodes do not go round:\n%s", screen(m))
	}
}

// TestSize checks that the screen is as large as the terminal, whatever that is.
func TestSize(t *testing.T) {
	m := newModel(2, time.Second, sample())
	run(t, m, tea.Batch(m.lookAtAll(), m.fetchLog()))

	for _, size := range []tea.WindowSizeMsg{{Width: 80, Height: 24}, {Width: 200, Height: 60}, {Width: 20, Height: 40}} {
		m.Update(size)

		lines := strings.Split(screen(m), "\n")
		if len(lines) != size.Height {
			t.Errorf("%v: the screen has %d lines", size, len(lines))
		}

		for _, line := range lines {
			if ansi.StringWidth(line) > size.Width {
				t.Errorf("%v: a line has %d columns: %s", size, ansi.StringWidth(line), line)
			}
		}
	}
}

func TestQuit(t *testing.T) {
	m := newModel(1, time.Second, sample())

	_, command := m.Update(tea.KeyPressMsg(tea.Key{Code: 'q', Text: "q"}))
	if command == nil {
		t.Fatal("q does nothing")
	}

	if _, ok := command().(tea.QuitMsg); !ok {
		t.Error("q does not end the program")
	}
}

// TestLateLog checks that an answer about another service is not shown.
func TestLateLog(t *testing.T) {
	m := newModel(2, time.Second, sample())
	run(t, m, m.lookAtAll())

	m.Update(logged{node: 0, service: "etcd", text: "late"})

	if diff := cmp.Diff("", m.log); diff != "" {
		t.Error(diff)
	}
}

func TestShares(t *testing.T) {
	if got := busy(nil, &machine.CPUStat{User: 1}); got != 0 {
		t.Errorf("without a look before: %v", got)
	}

	if got := busy(&machine.CPUStat{User: 1, Idle: 1}, &machine.CPUStat{User: 1, Idle: 1}); got != 0 {
		t.Errorf("without time between: %v", got)
	}

	// A counter that was reset by a reboot.
	if got := rate(10, 5, time.Second); got != 0 {
		t.Errorf("a counter that went back: %d", got)
	}

	if got := bar(7); strings.Contains(got, "░") || len([]rune(got)) != 30 {
		t.Errorf("a bar that is too long: %q", got)
	}
}
