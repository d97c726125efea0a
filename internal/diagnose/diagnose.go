// Package diagnose says why a node, a service or a condition is not ready: it
// follows what waits for what, from services over their conditions to the
// resources that controllers write, down to the root cause.
//
// It is a pure function of a moment of a node, which a client of the API can
// collect as well as the node itself.
package diagnose

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/clock"
	"github.com/basalt-os/basalt/internal/resources/etcd"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/resources/secrets"
)

// Moment is what a node is like at a moment.
type Moment struct {
	Stage    string // of the machine: booting, running, ...
	Ready    bool
	Unmet    []Unmet // conditions that keep the machine from being ready
	Services []Service
	// Situation has the controllers and the resources.
	Situation reconcile.Situation
}

// Unmet is a condition that does not hold.
type Unmet struct {
	Name, Reason string
}

// Service is a service of the node.
type Service struct {
	ID    string
	State string // Running, Waiting, ...
	Event string // what happened to it last
	// Unknown is set when there is no health check, or none has run yet.
	Unknown, Healthy bool
	Health           string // what the last health check said
}

// Cause is a sentence with the reasons behind it. A cause without reasons is
// the root cause, or says that all is well.
type Cause struct {
	Text    string
	Because []Cause
}

// String prints a cause as lines that are set in by two spaces per level.
func (c Cause) String() string {
	var text strings.Builder

	c.print(&text, "")

	return text.String()
}

func (c Cause) print(text *strings.Builder, indent string) {
	fmt.Fprintf(text, "%s%s\n", indent, c.Text)

	for _, because := range c.Because {
		because.print(text, indent+"  ")
	}
}

// chain makes one cause of sentences, each with the next as its reason.
func chain(sentences []string) Cause {
	cause := Cause{Text: sentences[len(sentences)-1]}

	for _, text := range slices.Backward(sentences[:len(sentences)-1]) {
		cause = Cause{Text: text, Because: []Cause{cause}}
	}

	return cause
}

// ErrUnknown is returned for a name that nothing on the node goes by.
var ErrUnknown = errors.New("there is no such service, condition or controller")

// Node explains the state of the node as a whole. Of a ready node it tells
// which controllers fail all the same.
func (m Moment) Node() Cause {
	if m.Ready {
		cause := Cause{Text: fmt.Sprintf("the node is ready (%s)", m.Stage)}

		for _, name := range m.failing() {
			cause.Because = append(cause.Because, chain(append([]string{"but a controller fails"}, m.Situation.WhyController(name)...)))
		}

		return cause
	}

	cause := Cause{Text: fmt.Sprintf("the node is not ready (%s)", m.Stage)}
	for _, unmet := range m.Unmet {
		cause.Because = append(cause.Because, m.unmet(unmet))
	}

	return cause
}

// failing lists the controllers that fail, by name.
func (m Moment) failing() []string {
	var names []string

	for name, status := range m.Situation.Statuses {
		if status.State == reconcile.StateFailing {
			names = append(names, name)
		}
	}

	slices.Sort(names)

	return names
}

// About explains a service, an unmet condition of the machine or a controller,
// by name. It fails with ErrUnknown.
func (m Moment) About(name string) (Cause, error) {
	if slices.ContainsFunc(m.Services, func(s Service) bool { return s.ID == name }) {
		return m.service(name, nil), nil
	}

	if _, ok := m.Situation.Statuses[name]; ok {
		return chain(append([]string{"controller " + name}, m.Situation.WhyController(name)...)), nil
	}

	cause := Cause{Text: fmt.Sprintf("condition %q does not hold", name)}

	for _, unmet := range m.Unmet {
		if strings.EqualFold(unmet.Name, name) {
			cause.Because = append(cause.Because, m.unmet(unmet))
		}
	}

	if len(cause.Because) == 0 {
		return Cause{}, fmt.Errorf("%q: %w", name, ErrUnknown)
	}

	return cause, nil
}

// Resource explains why a resource is not there, or what it waits for.
func (m Moment) Resource(pointer resource.Pointer) Cause { return chain(m.Situation.Why(pointer)) }

// serviceName finds a service in a sentence about it.
var serviceName = regexp.MustCompile(`service "([^"]+)"`)

// unmet explains a condition that does not hold.
func (m Moment) unmet(unmet Unmet) Cause {
	cause := Cause{Text: fmt.Sprintf("%s: %s", unmet.Name, unmet.Reason)}

	if match := serviceName.FindStringSubmatch(unmet.Reason); match != nil {
		cause.Because = []Cause{m.service(match[1], nil)}

		return cause
	}

	switch unmet.Name {
	case "nodeReady":
		kubelet := m.service("kubelet", nil)
		if len(kubelet.Because) == 0 && m.well("kubelet") {
			kubelet.Text = "the kubelet runs, but Kubernetes does not have the node as ready: \"kubectl describe node\" says more"
		}

		cause.Because = []Cause{kubelet}
	case "staticPods":
		cause.Because = []Cause{{Text: "\"basaltctl containers -k\" shows its containers, and \"basaltctl logs -k\" what they say"}}
	}

	return cause
}

// well says whether a service runs and is not known to be ill.
func (m Moment) well(id string) bool {
	i := slices.IndexFunc(m.Services, func(s Service) bool { return s.ID == id })

	return i >= 0 && m.Services[i].State == "Running" && (m.Services[i].Healthy || m.Services[i].Unknown)
}

// waitingFor begins what a service says while it waits.
const waitingFor = "Waiting for "

// service explains a service. Above are the services that led to it.
func (m Moment) service(id string, above []string) Cause {
	i := slices.IndexFunc(m.Services, func(s Service) bool { return s.ID == id })
	if i < 0 {
		return Cause{Text: fmt.Sprintf("there is no service %q", id)}
	}

	s := m.Services[i]
	subject := fmt.Sprintf("service %q", id)

	switch {
	case slices.Contains(above, id):
		return Cause{Text: subject + " waits for itself: the chain is a circle"}
	case s.State == "Running" && s.Healthy:
		return Cause{Text: subject + " is running and healthy"}
	case s.State == "Running" && s.Unknown:
		return Cause{Text: subject + " is running; its health has not been checked"}
	case s.State == "Running":
		return Cause{Text: fmt.Sprintf("%s is running, but not healthy: %s", subject, s.Health)}
	case s.State == "Waiting" && strings.HasPrefix(s.Event, waitingFor):
		cause := Cause{Text: fmt.Sprintf("%s is waiting", subject)}
		for _, name := range strings.Split(strings.TrimPrefix(s.Event, waitingFor), ", ") {
			cause.Because = append(cause.Because, m.condition(name, append(above, id)))
		}

		return cause
	default:
		return Cause{Text: fmt.Sprintf("%s is %s: %s", subject, strings.ToLower(s.State), s.Event)}
	}
}

// condition explains what a service waits for.
func (m Moment) condition(name string, above []string) Cause {
	cause := Cause{Text: "it waits for " + name}

	if match := serviceName.FindStringSubmatch(name); match != nil {
		cause.Because = []Cause{m.service(match[1], above)}
	} else if pointer, ok := conditions()[name]; ok {
		cause.Because = []Cause{m.Resource(pointer)}
	}

	return cause
}

// conditions are the resources behind what services wait for, by the names
// that the services have for them.
func conditions() map[string]resource.Pointer {
	return map[string]resource.Pointer{
		"time sync":         resource.PointerOf[clock.Status](clock.StatusID),
		"network":           resource.PointerOf[network.Status](network.StatusID),
		"API certificate":   resource.PointerOf[secrets.API](secrets.APIID),
		"certificate":       resource.PointerOf[secrets.Trustd](secrets.TrustdID),
		"kubelet spec":      resource.PointerOf[k8s.KubeletSpec](k8s.KubeletID),
		"etcd spec":         resource.PointerOf[etcd.Spec](etcd.SpecID),
		"etcd certificates": resource.PointerOf[etcd.PKIStatus](etcd.PKIStatusID),
	}
}
