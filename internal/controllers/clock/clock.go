// Package clock has the controllers of the node's time.
package clock

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/clock"
)

// Controllers are all controllers of this package for a node that has the
// clock of its host.
func Controllers() []reconcile.Controller {
	return []reconcile.Controller{HostStatus(), Adjtime()}
}

// HostStatus says that time is in sync: on a node that shares its kernel with a
// host, keeping it so is the host's business.
func HostStatus() reconcile.Controller {
	return derive.One("time.SyncController", clock.StatusID, nil,
		func(context.Context, *reconcile.Runtime, clock.Status) (clock.Status, error) {
			return clock.Status{Synced: true, SyncDisabled: true}, nil
		})
}

// adjtimeInterval is how often the kernel is asked.
const adjtimeInterval = 30 * time.Second

// Adjtime shows how the kernel keeps its clock.
func Adjtime() reconcile.Controller {
	return derive.One("time.AdjtimeStatusController", clock.AdjtimeStatusID, nil,
		func(_ context.Context, rt *reconcile.Runtime, _ clock.AdjtimeStatus) (clock.AdjtimeStatus, error) {
			rt.RequeueAfter(adjtimeInterval)

			var timex unix.Timex

			state, err := unix.Adjtimex(&timex)
			if err != nil {
				return clock.AdjtimeStatus{}, fmt.Errorf("reading the state of the clock: %w", err)
			}

			return adjtime(state, timex), nil
		})
}

func adjtime(state int, timex unix.Timex) clock.AdjtimeStatus {
	const microsecond = int64(time.Microsecond)

	unit := microsecond
	if timex.Status&unix.STA_NANO != 0 {
		unit = 1
	}

	return clock.AdjtimeStatus{
		Offset: time.Duration(timex.Offset * unit),
		// The frequency is in parts per million, with 16 bits of fraction.
		FrequencyAdjustmentRatio: 1 + float64(timex.Freq)/65536/1e6,
		MaxError:                 time.Duration(timex.Maxerror * microsecond),
		EstError:                 time.Duration(timex.Esterror * microsecond),
		Status:                   statusText(timex.Status),
		Constant:                 int(timex.Constant),
		SyncStatus:               timex.Status&unix.STA_UNSYNC == 0,
		State:                    stateText(state),
	}
}

var statusNames = []struct {
	bit  int32
	name string
}{
	{unix.STA_PLL, "STA_PLL"}, {unix.STA_PPSFREQ, "STA_PPSFREQ"}, {unix.STA_PPSTIME, "STA_PPSTIME"}, {unix.STA_FLL, "STA_FLL"},
	{unix.STA_INS, "STA_INS"}, {unix.STA_DEL, "STA_DEL"}, {unix.STA_UNSYNC, "STA_UNSYNC"}, {unix.STA_FREQHOLD, "STA_FREQHOLD"},
	{unix.STA_NANO, "STA_NANO"}, {unix.STA_MODE, "STA_MODE"}, {unix.STA_CLK, "STA_CLK"},
}

func statusText(status int32) string {
	text := ""

	for _, s := range statusNames {
		if status&s.bit == 0 {
			continue
		}

		if text != "" {
			text += " | "
		}

		text += s.name
	}

	return text
}

func stateText(state int) string {
	names := []string{"TIME_OK", "TIME_INS", "TIME_DEL", "TIME_OOP", "TIME_WAIT", "TIME_ERROR"}
	if state < 0 || state >= len(names) {
		return fmt.Sprint(state)
	}

	return names[state]
}
