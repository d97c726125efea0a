package dashboard

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/dustin/go-humanize"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/version"
	"github.com/basalt-os/basalt/pkg/client"
)

// Styles, by colours that every terminal has.
var (
	styleTitle    = lipgloss.NewStyle().Bold(true)
	styleSelected = lipgloss.NewStyle().Reverse(true)
	styleGood     = lipgloss.NewStyle().Foreground(lipgloss.Green)
	styleBad      = lipgloss.NewStyle().Foreground(lipgloss.Red)
	styleFaint    = lipgloss.NewStyle().Faint(true)
)

// View implements tea.Model.
func (m *model) View() tea.View {
	view := tea.NewView(m.render())
	view.AltScreen = true
	view.WindowTitle = version.Name

	return view
}

// render makes the text of the screen: nodes, the chosen node, its services,
// and a log that fills the rest.
func (m *model) render() string {
	lines := []string{m.tabs(), ""}
	now, before := m.now[m.node], m.before[m.node]

	if m.form != nil {
		return m.fit(append(lines, m.form.lines()...), "↑/↓ field   enter next   ctrl+s save   esc back")
	}

	switch {
	case now.err != nil:
		lines = append(lines, styleBad.Render(now.node+": "+client.Message(now.err)))
	case now.node == "":
		lines = append(lines, "looking ...")
	default:
		lines = append(lines, summary(now, before)...)
		lines = append(lines, "")
		lines = append(lines, m.services(now)...)
	}

	title := m.subject()
	if title == kernelLog {
		title = "kernel"
	}

	lines = append(lines, "", styleTitle.Render("log of "+title))

	help := "←/→ node   ↑/↓ service   l kernel log   q quit"
	if m.meta != nil {
		help = "↑/↓ service   l kernel log   F2 network   F3 configuration"
	}

	room := max(m.height-len(lines)-1, 0)

	log := strings.Split(strings.TrimRight(m.log, "\n"), "\n")
	if len(log) > room {
		log = log[len(log)-room:]
	}

	return m.fit(append(lines, log...), help)
}

// fit makes lines as large as the screen, with a line of help at its end.
func (m *model) fit(lines []string, help string) string {
	lines = lines[:min(len(lines), max(m.height-1, 0))]
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}

	lines = append(lines, styleFaint.Render(help))

	for i, line := range lines {
		lines[i] = ansi.Truncate(strings.ReplaceAll(line, "\t", "    "), m.width, "…")
	}

	return strings.Join(lines, "\n")
}

// tabs lists the nodes, the chosen one set off.
func (m *model) tabs() string {
	tabs := make([]string, len(m.now))

	for i, look := range m.now {
		name := look.node
		if name == "" {
			name = "..."
		}

		style := styleGood
		if look.err != nil || !look.ready {
			style = styleBad
		}

		name = " " + style.Render("●") + " " + name + " "
		if i == m.node {
			name = styleSelected.Render(name)
		}

		tabs[i] = name
	}

	return styleTitle.Render(version.Name) + "  " + strings.Join(tabs, " ")
}

// summary describes a node in a few lines.
func summary(now, before look) []string {
	state := styleGood.Render("ready")
	if !now.ready {
		state = styleBad.Render("not ready")
	}

	processes := ""
	if now.processes > 0 {
		processes = fmt.Sprintf("   processes %d", now.processes)
	}

	lines := []string{
		fmt.Sprintf("%s  %s, %s  %s", styleTitle.Render(now.node), now.stage, state, styleFaint.Render(now.version)),
		fmt.Sprintf("load %.2f %.2f %.2f   processors %d%s", now.load[0], now.load[1], now.load[2], now.processors, processes),
		fmt.Sprintf("cpu    %s %3.0f%%", bar(busy(before.cpu, now.cpu)), 100*busy(before.cpu, now.cpu)),
	}

	if total := now.memory.GetMemtotal(); total > 0 {
		used := total - now.memory.GetMemavailable()
		lines = append(lines, fmt.Sprintf("memory %s %s of %s", bar(float64(used)/float64(total)),
			humanize.IBytes(used<<10), humanize.IBytes(total<<10)))
	}

	if before.network != nil && now.network != nil {
		passed := now.time.Sub(before.time)
		lines = append(lines, fmt.Sprintf("net    in %s/s   out %s/s",
			humanize.Bytes(rate(before.network.GetRxBytes(), now.network.GetRxBytes(), passed)),
			humanize.Bytes(rate(before.network.GetTxBytes(), now.network.GetTxBytes(), passed))))
	}

	lines = append(lines, now.facts...)

	for _, unmet := range now.unmet {
		lines = append(lines, styleBad.Render("waits for "+unmet))
	}

	return lines
}

// bar draws a share from zero to one.
func bar(share float64) string {
	const width = 30

	full := int(min(max(share, 0), 1)*width + 0.5)

	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

// services lists the services, the chosen one set off.
func (m *model) services(now look) []string {
	lines := []string{styleTitle.Render(fmt.Sprintf("  %-16s %-10s %-8s %s", "SERVICE", "STATE", "HEALTH", "LAST EVENT"))}

	for i, service := range now.services {
		event := ""
		if events := service.GetEvents().GetEvents(); len(events) > 0 {
			event = events[len(events)-1].GetMsg()
		}

		line := fmt.Sprintf("  %-16s %-10s %-8s %s", service.GetId(), service.GetState(), healthWord(service.GetHealth()), event)

		switch {
		case !m.kernel && i == min(m.service, len(now.services)-1):
			line = styleSelected.Render(line)
		case service.GetState() != "Running" && service.GetState() != "Finished",
			!service.GetHealth().GetUnknown() && !service.GetHealth().GetHealthy():
			line = styleBad.Render(line)
		}

		lines = append(lines, line)
	}

	return lines
}

func healthWord(health *machine.ServiceHealth) string {
	switch {
	case health.GetUnknown():
		return "?"
	case health.GetHealthy():
		return "OK"
	default:
		return "Fail"
	}
}
