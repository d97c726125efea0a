package block

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/blockdev/mkfs"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
)

// Maintenance is what is done to mounted file systems from time to time.
type Maintenance interface {
	// Trim tells the device which blocks are not used. It says how many bytes
	// they are.
	Trim(ctx context.Context, mountpoint string) (uint64, error)
	// Scrub checks a file system while it is in use.
	Scrub(ctx context.Context, mountpoint string) error
}

// plan keeps when what is due.
type plan struct {
	now  func() time.Time
	next map[string]time.Time
}

// due says whether the time of a volume has come, and when the next one is. The
// first time of each volume is at a point of the interval of its own, so that
// not all are busy at once.
func (p *plan) due(id string, interval time.Duration) (bool, time.Time) {
	now := p.now()

	next, known := p.next[id]
	if !known || next.After(now.Add(interval)) {
		hash := fnv.New32a()
		hash.Write([]byte(id))

		next = now.Add(time.Duration(float64(interval) * (0.1 + 0.9*float64(hash.Sum32())/(1<<32))))
		p.next[id] = next
	}

	if now.Before(next) {
		return false, next
	}

	p.next[id] = now.Add(interval)

	return true, p.next[id]
}

// forget drops volumes that are no longer looked after.
func (p *plan) forget(keep func(id string) bool) {
	for id := range p.next {
		if !keep(id) {
			delete(p.next, id)
		}
	}
}

// mounted are the mounted volumes by ID, with their status, for which wanted
// holds.
func mounted(
	ctx context.Context, rt *reconcile.Runtime, wanted func(block.VolumeStatus) bool,
) (map[string]block.MountStatus, map[string]block.VolumeStatus, error) {
	mounts, err := resource.List[block.MountStatus](ctx, rt)
	if err != nil {
		return nil, nil, err
	}

	statuses, volumes := map[string]block.MountStatus{}, map[string]block.VolumeStatus{}

	for _, m := range mounts {
		volume, err := derive.Find[block.VolumeStatus](ctx, rt, m.Spec.Spec.VolumeID)
		if err != nil {
			return nil, nil, err
		}

		if volume != nil && m.Meta.Phase == resource.Running && m.Spec.Target != "" && !m.Spec.ReadOnly && wanted(volume.Spec) {
			statuses[m.Spec.Spec.VolumeID], volumes[m.Spec.Spec.VolumeID] = m.Spec, volume.Spec
		}
	}

	return statuses, volumes, nil
}

// Trim discards unused blocks of mounted volumes at intervals.
func Trim(maintenance Maintenance, now func() time.Time) reconcile.Controller {
	p := &plan{now: now, next: map[string]time.Time{}}

	return derive.All("block.FSTrimController",
		[]reconcile.Input{reconcile.In[block.MountStatus](), reconcile.In[block.VolumeStatus]()},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]block.VolumeTrimSchedule, error) {
			mounts, volumes, err := mounted(ctx, rt, func(v block.VolumeStatus) bool { return v.TrimEnabled && v.TrimInterval > 0 })
			if err != nil {
				return nil, err
			}

			out := map[string]block.VolumeTrimSchedule{}

			for id, volume := range volumes {
				due, next := p.due(id, volume.TrimInterval)
				if due {
					freed, err := maintenance.Trim(ctx, mounts[id].Target)

					switch {
					case errors.Is(err, unix.EOPNOTSUPP):
						rt.Logger().Debug("the device takes no discards", "volume", id)
					case err != nil:
						rt.Logger().Warn("trimming volume", "volume", id, "error", err)
					default:
						rt.Logger().Info("volume trimmed", "volume", id, "bytes", freed)
					}
				}

				rt.RequeueAfter(next.Sub(now()))

				out[id] = block.VolumeTrimSchedule{Filesystem: volume.Filesystem, Interval: volume.TrimInterval, NextTrim: next}
			}

			p.forget(func(id string) bool { _, ok := volumes[id]; return ok })

			return out, nil
		})
}

// Scrub checks mounted XFS volumes at intervals, where the configuration asks
// for it.
func Scrub(maintenance Maintenance, now func() time.Time) reconcile.Controller {
	p := &plan{now: now, next: map[string]time.Time{}}

	return derive.Act("block.FSScrubController",
		[]reconcile.Input{reconcile.In[block.MountStatus](), reconcile.In[block.VolumeStatus]()},
		[]reconcile.Output{reconcile.Out[block.FSScrubSchedule](), reconcile.Out[block.FSScrubStatus]()},
		func(ctx context.Context, rt *reconcile.Runtime) error {
			mounts, volumes, err := mounted(ctx, rt, func(v block.VolumeStatus) bool {
				return v.ScrubEnabled && v.ScrubInterval > 0 && v.Filesystem == block.FilesystemTypeXFS
			})
			if err != nil {
				return err
			}

			keep := func(id string) bool { _, ok := volumes[id]; return ok }
			p.forget(keep)

			for id, volume := range volumes {
				due, next := p.due(id, volume.ScrubInterval)
				if due {
					if err := scrub(ctx, rt, maintenance, now, id, mounts[id].Target, volume.ScrubInterval); err != nil {
						return err
					}
				}

				rt.RequeueAfter(next.Sub(now()))

				err := reconcile.Modify(ctx, rt, id, func(r *resource.Resource[block.FSScrubSchedule]) error {
					r.Spec = block.FSScrubSchedule{Filesystem: volume.Filesystem, Interval: volume.ScrubInterval, NextScrub: next}

					return nil
				})
				if err != nil {
					return err
				}
			}

			return errors.Join(reconcile.Keep[block.FSScrubSchedule](ctx, rt, keep), reconcile.Keep[block.FSScrubStatus](ctx, rt, keep))
		})
}

// scrub checks one volume and keeps the result.
func scrub(
	ctx context.Context, rt *reconcile.Runtime, maintenance Maintenance, now func() time.Time, id, target string, interval time.Duration,
) error {
	start := now()
	status := "success"

	if err := maintenance.Scrub(ctx, target); err != nil {
		status = err.Error()

		rt.Logger().Warn("checking volume", "volume", id, "error", err)
	}

	return reconcile.Modify(ctx, rt, id, func(r *resource.Resource[block.FSScrubStatus]) error {
		r.Spec = block.FSScrubStatus{Mountpoint: target, Interval: interval, Time: start, Duration: now().Sub(start), Status: status}

		return nil
	})
}

// fitrim is the request of file systems, which golang.org/x/sys does not have.
const fitrim = 0xc0185879

// KernelMaintenance is what the kernel and the programs of the machine do.
type KernelMaintenance struct{ Runner mkfs.Runner }

// Trim implements [Maintenance].
func (KernelMaintenance) Trim(_ context.Context, mountpoint string) (uint64, error) {
	dir, err := os.Open(mountpoint)
	if err != nil {
		return 0, fmt.Errorf("trimming: %w", err)
	}
	defer dir.Close() //nolint:errcheck // read side only

	span := struct{ start, length, minimum uint64 }{length: 1<<64 - 1}

	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), fitrim, uintptr(unsafe.Pointer(&span))); errno != 0 {
		return 0, fmt.Errorf("trimming %s: %w", mountpoint, errno)
	}

	return span.length, nil
}

// Scrub implements [Maintenance].
func (k KernelMaintenance) Scrub(ctx context.Context, mountpoint string) error {
	// In the background: at the lowest priority, one thread.
	cmd := exec.CommandContext(ctx, "/usr/sbin/xfs_scrub", "-b", "-n", mountpoint)

	if err := k.Runner.Start(cmd); err != nil {
		return fmt.Errorf("checking %s: %w", mountpoint, err)
	}

	if err := k.Runner.Wait(cmd); err != nil {
		return fmt.Errorf("checking %s: %w", mountpoint, err)
	}

	return nil
}
