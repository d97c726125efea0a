package vm_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"
	"k8s.io/client-go/kubernetes"

	"github.com/basalt-os/basalt/internal/payload"
	"github.com/basalt-os/basalt/internal/trial"
	"github.com/basalt-os/basalt/internal/version"
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/test/vm"
)

var figuresFile = flag.String("figures", "", "measure a machine, and write the figures to this file (make bench)")

// figure is one thing that was measured, as test/bench reads it.
type figure struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
}

// figures collects what is measured of one machine.
type figures struct {
	t    *testing.T
	c    *vm.Cluster
	m    *vm.Machine
	api  *client.Client
	kube kubernetes.Interface // once the cluster is bootstrapped
	list []figure
}

func (f *figures) add(name, unit string, value float64) {
	f.t.Helper()
	f.t.Logf("%s: %.1f %s", name, value, unit)
	f.list = append(f.list, figure{name, unit, value})
}

// TestFigures measures a machine: how long it takes to boot from a blank disk
// and again, in seconds of its own since its kernel began, what memory it takes,
// and what an upgrade takes.
func TestFigures(t *testing.T) {
	if *figuresFile == "" {
		t.Skip("not asked for: run \"make bench\"")
	}

	c := start(t, vm.Options{
		Memory: 3 << 30, Images: images(t, good), Injection: provision.InjectISO, Settings: settings(t),
	})
	f := &figures{t: t, c: c, m: c.Machines[0], api: c.API()}
	on := "machine (" + string(c.Spec.Machines.Accelerator) + "): "

	f.boot(on + "blank disk: ")
	f.memory(on + "memory before Kubernetes")

	if err := provision.Bootstrap(t.Context(), f.api, c.Spec); err != nil {
		t.Fatal(err)
	}

	f.kube = kubernetesOf(t, c, f.api)
	f.ready(on + "blank disk: ")

	if err := provision.AwaitHealth(t.Context(), f.api, c.Spec, readyLimit, func(string) {}, func(string) {}); err != nil {
		t.Fatal(err)
	}

	f.memory(on + "memory of a Ready node")

	f.m.Console.Skip()
	f.m.Reboot(f.api, bootLimit)
	f.boot(on + "warm boot: ")
	f.ready(on + "warm boot: ")
	f.upgrade(on + "upgrade: ")

	data, err := json.MarshalIndent(f.list, "", "  ")
	if err == nil {
		err = os.WriteFile(*figuresFile, data, 0o644)
	}

	if err != nil {
		t.Fatal(err)
	}
}

// boot measures until the API answers.
func (f *figures) boot(name string) {
	f.t.Helper()

	match := f.m.Await(`\[ *([0-9.]+)\] machined: .*starting node`, bootLimit)

	began, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		f.t.Fatal(err)
	}

	f.add(name+"kernel to init", "s", began)
	f.m.AwaitBooted(f.api, bootLimit, runs(version.Version))
	f.add(name+"kernel to API", "s", f.uptime())
}

// ready measures until the node is Ready.
func (f *figures) ready(name string) {
	f.t.Helper()
	awaitNodeReady(f.c, f.kube)
	f.add(name+"kernel to node Ready", "s", f.uptime())
}

// uptime is how long the machine's kernel has run, in seconds.
func (f *figures) uptime() float64 {
	f.t.Helper()

	text, err := f.m.ReadFile(f.t.Context(), f.api, "/proc/uptime")
	if err != nil {
		f.t.Fatal(err)
	}

	seconds, _, _ := strings.Cut(text, " ")

	value, err := strconv.ParseFloat(seconds, 64)
	if err != nil {
		f.t.Fatal(err)
	}

	return value
}

// memory measures what is not available any more.
func (f *figures) memory(name string) {
	f.t.Helper()

	response, err := client.Check(f.api.Machine.Memory(f.m.On(f.t.Context()), &emptypb.Empty{}))
	if err != nil {
		f.t.Fatal(err)
	}

	info := response.GetMessages()[0].GetMeminfo()
	f.add(name, "MiB", float64(info.GetMemtotal()-info.GetMemavailable())/1024)
}

// upgrade measures an upgrade until it is committed, and for how long the API
// was away meanwhile.
func (f *figures) upgrade(name string) {
	f.t.Helper()

	begin, answered := time.Now(), time.Now()

	var away time.Duration

	f.m.Upgrade(f.api, payload.Image(good))
	f.c.Eventually(upgradeLimit, "the upgrade is committed", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()

		status, err := f.m.UpgradeStatus(ctx, f.api)
		if err != nil {
			return err
		}

		away, answered = max(away, time.Since(answered)), time.Now()

		if status.State != string(trial.Committed) || status.Image != payload.Image(good) {
			return fmt.Errorf("it is %s", status.State)
		}

		return nil
	})
	f.add(name+"until it is committed", "s", time.Since(begin).Seconds())
	f.add(name+"API away", "s", away.Seconds())
}
