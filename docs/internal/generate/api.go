package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/basalt-os/basalt/api"
	"github.com/basalt-os/basalt/internal/rbac"
)

const apiIntroduction = `# API methods

A caller needs one of the roles that stand beside a method. *(maintenance)* means:
also without a certificate, while the node has no configuration. Streams are marked
with an arrow in their direction. [How to call](../api.md) is told elsewhere; the
messages stand in the .proto files.

`

// unservedList names the methods that nothing serves yet.
const unservedList = "internal/server/testdata/unserved.txt"

// apiPage describes all methods of the services that a node serves.
func apiPage(ctx context.Context, root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, unservedList))
	if err != nil {
		return "", err
	}

	unserved := strings.Fields(string(text))

	files, err := api.Compile(ctx)
	if err != nil {
		return "", err
	}

	var out strings.Builder

	out.WriteString(apiIntroduction)

	for _, file := range files {
		services := file.Services()
		for i := range services.Len() {
			writeService(&out, services.Get(i), unserved)
		}
	}

	return out.String(), nil
}

// writeService describes a service, unless it belongs to other systems.
func writeService(out *strings.Builder, service protoreflect.ServiceDescriptor, unserved []string) {
	var rows strings.Builder

	methods := service.Methods()
	for i := range methods.Len() {
		method := methods.Get(i)
		full := fmt.Sprintf("/%s/%s", service.FullName(), method.Name())

		rule, _ := rbac.RuleFor(full)
		if rule.Elsewhere != "" {
			continue
		}

		about := comment(method)
		if slices.Contains(unserved, full) {
			about += " *Not served.*"
		}

		fmt.Fprintf(&rows, "| `%s` | %s | %s | %s |\n", method.Name(), messages(method), callers(rule), cell(about))
	}

	if rows.Len() == 0 {
		return
	}

	fmt.Fprintf(out, "## %s\n\n%s [`%s`](../../api/%[3]s)\n\n", service.FullName(), comment(service), service.ParentFile().Path())
	fmt.Fprintf(out, "| Method | Messages | Roles | |\n|---|---|---|---|\n%s\n", rows.String())
}

// messages shows what goes in and what comes out.
func messages(method protoreflect.MethodDescriptor) string {
	in, out := string(method.Input().Name()), string(method.Output().Name())

	if method.IsStreamingClient() {
		in = "→ " + in
	}

	if method.IsStreamingServer() {
		out = "← " + out
	}

	return in + ", " + out
}

// callers names the roles that may call.
func callers(rule rbac.Rule) string {
	list := rule.Roles.Strings()
	for i := range list {
		list[i] = strings.TrimPrefix(list[i], "os:")
	}

	text := strings.Join(list, ", ")
	if rule.Maintenance != rbac.None {
		text += " *(maintenance)*"
	}

	return text
}

// comment is what the .proto file says of a declaration, without its name.
func comment(d protoreflect.Descriptor) string {
	text := plain(d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments)

	return capital(strings.TrimPrefix(text, string(d.Name())+" "))
}
