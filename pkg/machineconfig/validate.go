package machineconfig

import (
	"fmt"
	"slices"

	"github.com/google/cel-go/parser"

	celcommon "github.com/google/cel-go/common"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/machineconfig/internal/typed"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// Mode is the kind of machine that a configuration is for.
type Mode string

// Modes.
const (
	Metal     Mode = "metal"
	Cloud     Mode = "cloud"
	Container Mode = "container"
)

// ParseMode parses a mode.
func ParseMode(text string) (Mode, error) {
	if mode := Mode(text); slices.Contains([]Mode{Metal, Cloud, Container}, mode) {
		return mode, nil
	}

	return "", fmt.Errorf("mode %q: expected metal, cloud or container", text)
}

// Complete reports whether the configuration can make a machine a member of a
// cluster: only the document without a kind has what that needs.
func (c *Config) Complete() bool { return c.v1.Machine != nil }

// Validate checks a configuration for a kind of machine. The error has all
// faults, as [Errors]; warnings are about what has no effect.
//
// A configuration without the document without a kind is partial: its
// documents are checked and nothing else.
func (c *Config) Validate(mode Mode) (warnings []string, err error) {
	var errs Errors

	for _, doc := range c.docs {
		faults := append(typed.Require(doc.root, doc.Value), locate(doc, c.check(doc.Value))...)

		if doc.Kind != "" && document.Named(doc.Value) && doc.Name == "" && typed.Child(doc.root, "name") == nil {
			faults = append(faults, missing(doc, "name"))
		}

		for _, fault := range faults {
			fault.Message += in(doc)
			errs = append(errs, fault)
		}

		warnings = append(warnings, idle(doc, mode)...)
	}

	for _, doc := range c.docs {
		if v1, ok := doc.Value.(*document.V1Alpha1); ok {
			errs = append(errs, locate(doc, c.checkMember(v1, mode))...)
			errs = append(errs, locate(doc, c.checkTranslated())...)
			errs = append(errs, locate(doc, c.conflicts(doc))...)
			warnings = append(warnings, c.overridden(v1)...)
			warnings = append(warnings, idleInstall(v1)...)
		}
	}

	return warnings, dedupe(errs).In(c.file).Err()
}

// checkTranslated checks the documents that stand for older parts.
func (c *Config) checkTranslated() Errors {
	var errs Errors

	for _, doc := range c.effective {
		if slices.ContainsFunc(c.docs, func(written Document) bool { return written.Value == doc }) {
			continue
		}

		for _, fault := range c.check(doc) {
			fault.Message += " (as " + document.KindOf(doc) + ")"
			errs = append(errs, fault)
		}
	}

	return errs
}

// in names the document of a fault: paths do not.
func in(doc Document) string {
	if doc.Kind == "" {
		return ""
	}

	return " (in " + doc.title() + ")"
}

func missing(doc Document, path string) *Error {
	return &Error{Line: doc.root.Line, Column: doc.root.Column, Path: path, Message: "found nothing, expected a value: the field is required"}
}

// dedupe drops faults that are there twice.
func dedupe(errs Errors) Errors {
	seen := make(map[string]bool)

	return slices.DeleteFunc(errs, func(e *Error) bool {
		key := e.Error()
		defer func() { seen[key] = true }()

		return seen[key]
	})
}

// check is what a document says about itself, and its expressions.
func (c *Config) check(doc any) Errors {
	var errs Errors

	if checker, ok := doc.(document.Checker); ok {
		for _, fault := range checker.Check() {
			errs = append(errs, &Error{Path: fault.Path, Message: fault.Message})
		}
	}

	for path, text := range expressions(doc) {
		if fault := syntax(text); fault != "" {
			errs = append(errs, &Error{Path: path, Message: fmt.Sprintf("found %q, expected an expression: %s", text, fault)})
		}
	}

	return errs
}

// expressions are the expressions of a document by path.
func expressions(doc any) map[string]string {
	all := make(map[string]string)

	switch doc := doc.(type) {
	case *document.OOMConfig:
		all["triggerExpression"] = doc.TriggerExpression
		all["cgroupRankingExpression"] = doc.CgroupRankingExpression
	default:
		typed.Walk(doc, func(path string, m document.Match) { all[path+".match"] = m.Match })
	}

	return all
}

// syntax is what is wrong with an expression, or nothing. Whether its variables
// are there is known only where it is evaluated.
func syntax(text string) string {
	if text == "" {
		return ""
	}

	p, err := parser.NewParser(parser.Macros(parser.AllMacros...))
	if err != nil {
		return err.Error()
	}

	if _, errs := p.Parse(celcommon.NewTextSource(text)); len(errs.GetErrors()) > 0 {
		return errs.GetErrors()[0].Message
	}

	return ""
}

// idle warns of a document that does nothing on this kind of machine.
func idle(doc Document, mode Mode) []string {
	switch kind := document.Canonical(doc.Kind); {
	case slices.Contains(unserved(), kind):
		return []string{doc.title() + " has no effect yet: this version checks it, and no machine acts on it"}
	case mode == Container && slices.Contains(machineOnly(), kind):
		return []string{doc.title() + " has no effect in a container: disks, devices, links and the kernel are its host's"}
	default:
		return nil
	}
}

// idleInstall warns of what the older form asks of an installation and does not
// get.
func idleInstall(v1 *document.V1Alpha1) []string {
	var (
		install  = value(value(v1.Machine).Install)
		warnings []string
	)

	if len(install.Extensions) > 0 {
		warnings = append(warnings, "machine.install.extensions has no effect: an installer's image brings the extensions that it was made with")
	}

	if install.Bootloader != nil && !*install.Bootloader {
		warnings = append(warnings, "machine.install.bootloader has no effect: a boot loader is always installed")
	}

	if install.GrubUseUKICmdline != nil && !*install.GrubUseUKICmdline {
		warnings = append(warnings, "machine.install.grubUseUKICmdline has no effect: the command line is always that of the image")
	}

	return warnings
}

// machineOnly are kinds that act on what a container does not have: disks,
// devices, and links and a kernel of its own.
func machineOnly() []string {
	return []string{
		"ExistingVolumeConfig", "ExternalVolumeConfig", "FilesystemScrubConfig", "RawVolumeConfig", "SwapVolumeConfig",
		"UserVolumeConfig", "ZswapConfig",
		"KernelModuleConfig", "OOMConfig", "WatchdogTimerConfig", "PCIDriverRebindConfig", "BootHealthConfig",
		"LinkConfig", "LinkAliasConfig", "EthernetConfig", "BondConfig", "BridgeConfig", "DummyLinkConfig", "VLANConfig",
		"VRFConfig", "VethConfig", "WireguardConfig",
		"DHCPv4Config", "DHCPv6Config", "RoutingRuleConfig", "BlackholeRouteConfig",
	}
}

// unserved are kinds that nothing on any machine reads so far. The profile of
// SecurityProfileConfig is not among them, although nothing reads it either:
// every generated configuration has one.
func unserved() []string {
	return []string{
		"BGPInstanceConfig", "HCloudVIPConfig", "KubeSpanConfig", "KubeSpanEndpoints", "Layer2VIPConfig", "SideroLinkConfig",
		"LVMLogicalVolumeConfig", "LVMVolumeGroupConfig", "RAIDArrayConfig",
		"ContainerConfig", "ExtensionServiceConfig", "ImageVerificationConfig", "UdevRulesConfig",
	}
}

// checkMember checks what a member of a cluster needs. Paths are those of v1.
func (c *Config) checkMember(v1 *document.V1Alpha1, mode Mode) Errors {
	var errs Errors

	fault := func(ok bool, path, format string, args ...any) {
		if !ok {
			errs = append(errs, &Error{Path: path, Message: fmt.Sprintf(format, args...)})
		}
	}

	const nothing = "found nothing, expected %s"

	fault(v1.Version != "", "version", nothing, document.Version)
	fault(v1.Machine != nil, "machine", nothing, "the machine's part of the configuration")
	fault(v1.Cluster != nil, "cluster", nothing, "the cluster's part of the configuration")

	if v1.Machine == nil || v1.Cluster == nil {
		return errs
	}

	machine, cluster := c.Machine(), c.Cluster()

	fault(v1.Machine.Type != "", "machine.type", nothing, "controlplane or worker")
	fault(machine.Token != "", "machine.token", nothing, "a token")
	fault(cluster.BootstrapToken == "" || secrets.ValidToken(cluster.BootstrapToken), "cluster.token",
		"found something else, expected the form abcdef.0123456789abcdef")
	fault(cluster.Endpoint.Host != "", "cluster", nothing, "the address of the Kubernetes API: a document KubeClusterConfig, or cluster.controlPlane.endpoint")

	install := value(v1.Machine.Install)
	fault(mode != Metal || v1.Machine.Install == nil || install.Disk != "" || install.DiskSelector != nil,
		"machine.install", "found neither disk nor diskSelector, expected one of them")

	ca := func(path string, pair secrets.KeyPair) {
		_, err := secrets.LoadCA(pair)
		fault(err == nil, path, "expected the certificate and key of an authority: %v", err)
	}

	if !machine.IsControlPlane() {
		_, err := machine.CA.Certificate()
		fault(err == nil, "machine.ca.crt", "expected the certificate of an authority: %v", err)

		return errs
	}

	ca("machine.ca", machine.CA)
	ca("cluster.etcd.ca", cluster.Etcd.CA)
	fault(!cluster.CA.IsZero(), "cluster", nothing, "the authority of Kubernetes: a document KubeAPIServerCAConfig, or cluster.ca")
	fault(!cluster.AggregatorCA.IsZero(), "cluster", nothing, "the aggregator's authority: a document KubeAggregatorCAConfig, or cluster.aggregatorCA")
	fault(len(cluster.ServiceAccount.Key) > 0, "cluster", nothing, "the service account key: a document KubeServiceAccountConfig, or cluster.serviceAccount")

	return errs
}
