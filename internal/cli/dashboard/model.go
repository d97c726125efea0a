package dashboard

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/basalt-os/basalt/api/machine"
)

// model is the state of the screen. Bubble Tea calls it from one goroutine.
type model struct {
	source   looker
	interval time.Duration

	// now and before are the last two looks at each node: what is used is
	// the difference.
	now, before []look

	node, service int
	kernel        bool // the log of the kernel is shown
	log           string
	width, height int

	// On a machine's own console.
	ctx   context.Context // of the whole program
	meta  metaWriter      // nil elsewhere
	first string          // the service whose log is shown until another is chosen
	form  *form           // nil while the machine is shown
}

// The size of a terminal that does not say it.
const (
	usualColumns = 80
	usualRows    = 24
)

func newModel(nodes int, interval time.Duration, source looker) *model {
	return &model{
		source: source, interval: interval,
		now: make([]look, nodes), before: make([]look, nodes), width: usualColumns, height: usualRows,
	}
}

// Messages to the model.
type (
	tick   struct{}
	looked struct {
		node int
		look look
	}
	logged struct {
		node    int
		service string
		text    string
	}
)

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return tea.Batch(m.lookAtAll(), m.fetchLog(), m.wait()) }

func (m *model) wait() tea.Cmd {
	return tea.Tick(m.interval, func(time.Time) tea.Msg { return tick{} })
}

func (m *model) lookAtAll() tea.Cmd {
	commands := make([]tea.Cmd, len(m.now))
	for i := range m.now {
		commands[i] = func() tea.Msg { return looked{i, m.source.look(i)} }
	}

	return tea.Batch(commands...)
}

// subject is the service whose log is shown.
func (m *model) subject() string {
	services := m.now[m.node].services
	if m.kernel || len(services) == 0 {
		return kernelLog
	}

	return services[min(m.service, len(services)-1)].GetId()
}

func (m *model) fetchLog() tea.Cmd {
	node, service := m.node, m.subject()

	return func() tea.Msg { return logged{node, service, m.source.log(node, service)} }
}

// Update implements tea.Model.
func (m *model) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = message.Width, message.Height
	case tick:
		return m, tea.Batch(m.lookAtAll(), m.fetchLog(), m.wait())
	case looked:
		if message.look.err == nil {
			m.before[message.node] = m.now[message.node]
		}

		m.now[message.node] = message.look
		m.choose()
	case logged:
		// An answer that comes too late is about something else.
		if message.node == m.node && message.service == m.subject() {
			m.log = message.text
		}
	case saved:
		message.form.tell(message.err)
	case tea.KeyPressMsg:
		if m.meta != nil {
			if handled, command := m.pressOnConsole(message.Key()); handled {
				return m, command
			}
		}

		return m.press(message.String())
	}

	return m, nil
}

// pressOnConsole handles the keys that only a machine's own console has. There
// the program does not end: nobody would start it again.
func (m *model) pressOnConsole(key tea.Key) (handled bool, command tea.Cmd) {
	switch stroke := key.Keystroke(); {
	case stroke == "f1" || (stroke == "esc" && m.form != nil):
		m.form = nil
	case stroke == "f2":
		m.form = networkForm()
	case stroke == "f3":
		m.form = codeForm()
	case stroke == "q" && m.form == nil || stroke == "esc" || stroke == "ctrl+c":
	case m.form != nil:
		command = m.form.press(m.ctx, key, m.meta)
	default:
		return false, nil
	}

	return true, command
}

// choose chooses the first service to show, once it is known.
func (m *model) choose() {
	for i, service := range m.now[m.node].services {
		if m.first != "" && service.GetId() == m.first {
			m.service, m.first = i, ""
		}
	}
}

// press handles a key.
func (m *model) press(key string) (tea.Model, tea.Cmd) {
	services := len(m.now[m.node].services)

	switch key {
	case "q", "esc", "ctrl+c":
		return m, tea.Quit
	case "right", "tab":
		m.node, m.service = (m.node+1)%len(m.now), 0
	case "left", "shift+tab":
		m.node, m.service = (m.node+len(m.now)-1)%len(m.now), 0
	case "down", "j":
		m.service, m.kernel = min(m.service+1, max(services-1, 0)), false
	case "up", "k":
		m.service, m.kernel = max(m.service-1, 0), false
	case "l":
		m.kernel = !m.kernel
	default:
		return m, nil
	}

	m.log = ""

	return m, m.fetchLog()
}

// busy is the share of processor time that was used between two looks, from
// zero to one.
func busy(before, now *machine.CPUStat) float64 {
	if before == nil || now == nil {
		return 0
	}

	idle := now.GetIdle() + now.GetIowait() - before.GetIdle() - before.GetIowait()
	total := idle + now.GetUser() + now.GetNice() + now.GetSystem() + now.GetIrq() + now.GetSoftIrq() + now.GetSteal() -
		before.GetUser() - before.GetNice() - before.GetSystem() - before.GetIrq() - before.GetSoftIrq() - before.GetSteal()

	if total <= 0 {
		return 0
	}

	return max(0, 1-idle/total)
}

// rate is a counter's growth per second between two looks.
func rate(before, now uint64, passed time.Duration) uint64 {
	if passed <= 0 || now < before {
		return 0
	}

	return uint64(float64(now-before) / passed.Seconds())
}
