package server

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
	"github.com/prometheus/procfs/blockdevice"
	"github.com/prometheus/procfs/sysfs"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
)

func (s *Server) proc() (procfs.FS, error) {
	proc, err := procfs.NewFS(s.Proc)
	if err != nil {
		return procfs.FS{}, fmt.Errorf("opening the kernel's process filesystem: %w", err)
	}
	return proc, nil
}

// LoadAvg returns the load averages of 1, 5 and 15 minutes.
func (s machineService) LoadAvg(context.Context, *emptypb.Empty) (*machine.LoadAvgResponse, error) {
	proc, err := s.proc()
	if err != nil {
		return nil, err
	}
	load, err := proc.LoadAvg()
	if err != nil {
		return nil, fmt.Errorf("reading load averages: %w", err)
	}
	return &machine.LoadAvgResponse{Messages: []*machine.LoadAvg{{
		Load1: load.Load1, Load5: load.Load5, Load15: load.Load15,
	}}}, nil
}

// Memory returns the kernel's memory counters in KiB.
func (s machineService) Memory(context.Context, *emptypb.Empty) (*machine.MemoryResponse, error) {
	file, err := os.Open(filepath.Join(s.Proc, "meminfo"))
	if err != nil {
		return nil, fmt.Errorf("reading memory counters: %w", err)
	}
	defer file.Close()
	info, err := parseMeminfo(file)
	if err != nil {
		return nil, fmt.Errorf("reading memory counters: %w", err)
	}
	return &machine.MemoryResponse{Messages: []*machine.Memory{{Meminfo: info}}}, nil
}

// SystemStat returns the kernel's counters of processor time and interrupts.
func (s machineService) SystemStat(context.Context, *emptypb.Empty) (*machine.SystemStatResponse, error) {
	proc, err := s.proc()
	if err != nil {
		return nil, err
	}
	stat, err := proc.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading processor counters: %w", err)
	}
	reply := &machine.SystemStat{
		BootTime:        stat.BootTime,
		CpuTotal:        cpuStat(stat.CPUTotal),
		IrqTotal:        stat.IRQTotal,
		Irq:             stat.IRQ,
		ContextSwitches: stat.ContextSwitches,
		ProcessCreated:  stat.ProcessCreated,
		ProcessRunning:  stat.ProcessesRunning,
		ProcessBlocked:  stat.ProcessesBlocked,
		SoftIrqTotal:    stat.SoftIRQTotal,
		SoftIrq: &machine.SoftIRQStat{
			Hi:          stat.SoftIRQ.Hi,
			Timer:       stat.SoftIRQ.Timer,
			NetTx:       stat.SoftIRQ.NetTx,
			NetRx:       stat.SoftIRQ.NetRx,
			Block:       stat.SoftIRQ.Block,
			BlockIoPoll: stat.SoftIRQ.BlockIoPoll,
			Tasklet:     stat.SoftIRQ.Tasklet,
			Sched:       stat.SoftIRQ.Sched,
			Hrtimer:     stat.SoftIRQ.Hrtimer,
			Rcu:         stat.SoftIRQ.Rcu,
		},
	}
	for _, number := range slices.Sorted(maps.Keys(stat.CPU)) {
		reply.Cpu = append(reply.Cpu, cpuStat(stat.CPU[number]))
	}
	return &machine.SystemStatResponse{Messages: []*machine.SystemStat{reply}}, nil
}

func cpuStat(stat procfs.CPUStat) *machine.CPUStat {
	return &machine.CPUStat{
		User:      stat.User,
		Nice:      stat.Nice,
		System:    stat.System,
		Idle:      stat.Idle,
		Iowait:    stat.Iowait,
		Irq:       stat.IRQ,
		SoftIrq:   stat.SoftIRQ,
		Steal:     stat.Steal,
		Guest:     stat.Guest,
		GuestNice: stat.GuestNice,
	}
}

// CPUInfo describes the processors.
func (s machineService) CPUInfo(context.Context, *emptypb.Empty) (*machine.CPUInfoResponse, error) {
	proc, err := s.proc()
	if err != nil {
		return nil, err
	}
	cpus, err := proc.CPUInfo()
	if err != nil {
		return nil, fmt.Errorf("reading description of processors: %w", err)
	}
	reply := &machine.CPUsInfo{}
	for _, cpu := range cpus {
		reply.CpuInfo = append(reply.CpuInfo, &machine.CPUInfo{
			Processor:       uint32(cpu.Processor),
			VendorId:        cpu.VendorID,
			CpuFamily:       cpu.CPUFamily,
			Model:           cpu.Model,
			ModelName:       cpu.ModelName,
			Stepping:        cpu.Stepping,
			Microcode:       cpu.Microcode,
			CpuMhz:          cpu.CPUMHz,
			CacheSize:       cpu.CacheSize,
			PhysicalId:      cpu.PhysicalID,
			Siblings:        uint32(cpu.Siblings),
			CoreId:          cpu.CoreID,
			CpuCores:        uint32(cpu.CPUCores),
			ApicId:          cpu.APICID,
			InitialApicId:   cpu.InitialAPICID,
			Fpu:             cpu.FPU,
			FpuException:    cpu.FPUException,
			CpuIdLevel:      uint32(cpu.CPUIDLevel),
			Wp:              cpu.WP,
			Flags:           cpu.Flags,
			Bugs:            cpu.Bugs,
			BogoMips:        cpu.BogoMips,
			ClFlushSize:     uint32(cpu.CLFlushSize),
			CacheAlignment:  uint32(cpu.CacheAlignment),
			AddressSizes:    cpu.AddressSizes,
			PowerManagement: cpu.PowerManagement,
		})
	}
	return &machine.CPUInfoResponse{Messages: []*machine.CPUsInfo{reply}}, nil
}

// CPUFreqStats returns the frequencies of the processors in kHz. It is empty
// where the kernel does not control them.
func (s machineService) CPUFreqStats(context.Context, *emptypb.Empty) (*machine.CPUFreqStatsResponse, error) {
	sys, err := sysfs.NewFS(s.Sys)
	if err != nil {
		return nil, fmt.Errorf("reading processor frequencies: %w", err)
	}
	reply := &machine.CPUsFreqStats{}
	response := &machine.CPUFreqStatsResponse{Messages: []*machine.CPUsFreqStats{reply}}
	if _, err := os.Stat(filepath.Join(s.Sys, "devices/system/cpu/cpu0/cpufreq")); os.IsNotExist(err) {
		return response, nil
	}
	stats, err := sys.SystemCpufreq()
	if err != nil {
		return nil, fmt.Errorf("reading processor frequencies: %w", err)
	}
	slices.SortFunc(stats, func(a, b sysfs.SystemCPUCpufreqStats) int { return processorNumber(a.Name) - processorNumber(b.Name) })
	for _, stat := range stats {
		reply.CpuFreqStats = append(reply.CpuFreqStats, &machine.CPUFreqStats{
			CurrentFrequency: valueOf(stat.ScalingCurrentFrequency),
			MinimumFrequency: valueOf(stat.ScalingMinimumFrequency),
			MaximumFrequency: valueOf(stat.ScalingMaximumFrequency),
			Governor:         stat.Governor,
		})
	}
	return response, nil
}

func processorNumber(name string) int {
	number, err := strconv.Atoi(strings.TrimPrefix(name, "cpu"))
	if err != nil {
		return -1
	}
	return number
}

func valueOf(pointer *uint64) uint64 {
	if pointer == nil {
		return 0
	}
	return *pointer
}

// NetworkDeviceStats returns the counters of the links of the node's network
// namespace, and their sum without the loopback.
func (s machineService) NetworkDeviceStats(context.Context, *emptypb.Empty) (*machine.NetworkDeviceStatsResponse, error) {
	proc, err := s.proc()
	if err != nil {
		return nil, err
	}
	devices, err := proc.NetDev()
	if err != nil {
		return nil, fmt.Errorf("reading network counters: %w", err)
	}
	reply := &machine.NetworkDeviceStats{Total: netDev(devices.Total())}
	for _, name := range slices.Sorted(maps.Keys(devices)) {
		reply.Devices = append(reply.Devices, netDev(devices[name]))
	}
	return &machine.NetworkDeviceStatsResponse{Messages: []*machine.NetworkDeviceStats{reply}}, nil
}

func netDev(line procfs.NetDevLine) *machine.NetDev {
	return &machine.NetDev{
		Name:         line.Name,
		RxBytes:      line.RxBytes,
		RxPackets:    line.RxPackets,
		RxErrors:     line.RxErrors,
		RxDropped:    line.RxDropped,
		RxFifo:       line.RxFIFO,
		RxFrame:      line.RxFrame,
		RxCompressed: line.RxCompressed,
		RxMulticast:  line.RxMulticast,
		TxBytes:      line.TxBytes,
		TxPackets:    line.TxPackets,
		TxErrors:     line.TxErrors,
		TxDropped:    line.TxDropped,
		TxFifo:       line.TxFIFO,
		TxCollisions: line.TxCollisions,
		TxCarrier:    line.TxCarrier,
		TxCompressed: line.TxCompressed,
	}
}

// DiskStats returns the counters of the block devices and their sum.
func (s machineService) DiskStats(context.Context, *emptypb.Empty) (*machine.DiskStatsResponse, error) {
	devices, err := blockdevice.NewFS(s.Proc, s.Sys)
	if err != nil {
		return nil, fmt.Errorf("reading disk counters: %w", err)
	}
	stats, err := devices.ProcDiskstats()
	if err != nil {
		return nil, fmt.Errorf("reading disk counters: %w", err)
	}
	reply := &machine.DiskStats{Total: &machine.DiskStat{}}
	for _, stat := range stats {
		device := &machine.DiskStat{
			Name:             stat.DeviceName,
			ReadCompleted:    stat.ReadIOs,
			ReadMerged:       stat.ReadMerges,
			ReadSectors:      stat.ReadSectors,
			ReadTimeMs:       stat.ReadTicks,
			WriteCompleted:   stat.WriteIOs,
			WriteMerged:      stat.WriteMerges,
			WriteSectors:     stat.WriteSectors,
			WriteTimeMs:      stat.WriteTicks,
			IoInProgress:     stat.IOsInProgress,
			IoTimeMs:         stat.IOsTotalTicks,
			IoTimeWeightedMs: stat.WeightedIOTicks,
			DiscardCompleted: stat.DiscardIOs,
			DiscardMerged:    stat.DiscardMerges,
			DiscardSectors:   stat.DiscardSectors,
			DiscardTimeMs:    stat.DiscardTicks,
		}
		addDisk(reply.GetTotal(), device)
		reply.Devices = append(reply.Devices, device)
	}
	return &machine.DiskStatsResponse{Messages: []*machine.DiskStats{reply}}, nil
}

func addDisk(total, device *machine.DiskStat) {
	total.ReadCompleted += device.GetReadCompleted()
	total.ReadMerged += device.GetReadMerged()
	total.ReadSectors += device.GetReadSectors()
	total.ReadTimeMs += device.GetReadTimeMs()
	total.WriteCompleted += device.GetWriteCompleted()
	total.WriteMerged += device.GetWriteMerged()
	total.WriteSectors += device.GetWriteSectors()
	total.WriteTimeMs += device.GetWriteTimeMs()
	total.IoInProgress += device.GetIoInProgress()
	total.IoTimeMs += device.GetIoTimeMs()
	total.IoTimeWeightedMs += device.GetIoTimeWeightedMs()
	total.DiscardCompleted += device.GetDiscardCompleted()
	total.DiscardMerged += device.GetDiscardMerged()
	total.DiscardSectors += device.GetDiscardSectors()
	total.DiscardTimeMs += device.GetDiscardTimeMs()
}
