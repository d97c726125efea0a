package block

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// usagePause is how often counters are read.
const usagePause = 30 * time.Second

// zswapID is the ID of the ZswapStatus.
const zswapID = "zswap"

// SwapStatus shows what the machine swaps to. Proc is a folder in the form of
// /proc.
func SwapStatus(proc string) reconcile.Controller {
	return derive.All("block.SwapStatusController", []reconcile.Input{reconcile.In[block.MountStatus]()},
		func(_ context.Context, rt *reconcile.Runtime) (map[string]block.SwapStatus, error) {
			rt.RequeueAfter(usagePause)

			data, err := os.ReadFile(filepath.Join(proc, "swaps"))

			switch {
			case errors.Is(err, fs.ErrNotExist): // a kernel without swapping
				return nil, nil
			case err != nil:
				return nil, fmt.Errorf("reading what is swapped to: %w", err)
			}

			return swaps(string(data)), nil
		})
}

// swaps reads the kernel's table: a head, and lines of device, type, size and
// use in KiB, and priority.
func swaps(text string) map[string]block.SwapStatus {
	out := map[string]block.SwapStatus{}

	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 5 {
			continue
		}

		size, err1 := strconv.ParseUint(fields[2], 10, 64)
		used, err2 := strconv.ParseUint(fields[3], 10, 64)
		priority, err3 := strconv.ParseInt(fields[4], 10, 32)

		if errors.Join(err1, err2, err3) != nil {
			continue // the head
		}

		out[fields[0]] = block.SwapStatus{
			Device: fields[0], Type: fields[1], SizeBytes: size << 10, SizeHuman: humanize.Bytes(size << 10),
			UsedBytes: used << 10, UsedHuman: humanize.Bytes(used << 10), Priority: int32(priority),
		}
	}

	return out
}

// Zswap says which parameters of the kernel compress memory before it is
// swapped out, as the configuration asks.
func Zswap(reader *configured.Reader) reconcile.Controller {
	return configured.All(reader, "block.ZswapConfigController",
		func(cfg *machineconfig.Config) (map[string]runtime.KernelParamSpec, error) {
			doc := machineconfig.Find[document.ZswapConfig](cfg)
			if doc == nil {
				return nil, nil
			}

			const prefix = "sys.module.zswap.parameters."

			out := map[string]runtime.KernelParamSpec{prefix + "enabled": {Value: "Y"}}

			if doc.MaxPoolPercent != nil {
				out[prefix+"max_pool_percent"] = runtime.KernelParamSpec{Value: strconv.Itoa(*doc.MaxPoolPercent)}
			}

			if doc.ShrinkerEnabled != nil {
				value := "N"
				if *doc.ShrinkerEnabled {
					value = "Y"
				}

				out[prefix+"shrinker_enabled"] = runtime.KernelParamSpec{Value: value}
			}

			return out, nil
		})
}

// ZswapStatus shows the counters of compressed memory while it is on. Sys is a
// folder in the form of /sys.
func ZswapStatus(sys string) reconcile.Controller {
	return derive.One("block.ZswapStatusController", zswapID, []reconcile.Input{reconcile.In[runtime.KernelParamStatus]()},
		func(_ context.Context, rt *reconcile.Runtime, _ block.ZswapStatus) (block.ZswapStatus, error) {
			enabled, err := os.ReadFile(filepath.Join(sys, "module/zswap/parameters/enabled"))
			if err != nil || strings.TrimSpace(string(enabled)) != "Y" {
				return derive.None[block.ZswapStatus]()
			}

			rt.RequeueAfter(usagePause)

			return zswapStatus(filepath.Join(sys, "kernel/debug/zswap")), nil
		})
}

// zswapStatus reads the counters; one that the kernel does not have is 0.
func zswapStatus(dir string) block.ZswapStatus {
	read := func(name string) uint64 {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return 0
		}

		n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
		if err != nil {
			return 0
		}

		return n
	}

	total := read("pool_total_size")

	return block.ZswapStatus{
		TotalSizeBytes: total, TotalSizeHuman: humanize.Bytes(total), StoredPages: read("stored_pages"),
		PoolLimitHit: read("pool_limit_hit"), RejectReclaimFail: read("reject_reclaim_fail"),
		RejectAllocFail: read("reject_alloc_fail"), RejectKmemcacheFail: read("reject_kmemcache_fail"),
		RejectCompressFail: read("reject_compress_fail"), RejectCompressPoor: read("reject_compress_poor"),
		WrittenBackPages: read("written_back_pages"),
	}
}
