package alias

import (
	"reflect"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"

	"github.com/basalt-os/basalt/internal/expression"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// Link is what expressions see of a link: the fields of its status as the wire
// names them. The numbers are the kernel's.
type Link struct {
	Index            uint32   `cel:"index"`
	Type             int      `cel:"type"`
	LinkIndex        uint32   `cel:"link_index"`
	Flags            uint32   `cel:"flags"`
	HardwareAddr     []byte   `cel:"hardware_addr"`
	PermanentAddr    []byte   `cel:"permanent_addr"`
	BroadcastAddr    []byte   `cel:"broadcast_addr"`
	MTU              uint32   `cel:"mtu"`
	QueueDisc        string   `cel:"queue_disc"`
	MasterIndex      uint32   `cel:"master_index"`
	OperationalState int      `cel:"operational_state"`
	Kind             string   `cel:"kind"`
	SlaveKind        string   `cel:"slave_kind"`
	BusPath          string   `cel:"bus_path"`
	PCIID            string   `cel:"pciid"`
	Driver           string   `cel:"driver"`
	DriverVersion    string   `cel:"driver_version"`
	FirmwareVersion  string   `cel:"firmware_version"`
	ProductID        string   `cel:"product_id"`
	VendorID         string   `cel:"vendor_id"`
	Product          string   `cel:"product"`
	Vendor           string   `cel:"vendor"`
	LinkState        bool     `cel:"link_state"`
	SpeedMegabits    int      `cel:"speed_megabits"`
	Port             int      `cel:"port"`
	Duplex           int      `cel:"duplex"`
	Alias            string   `cel:"alias"`
	AltNames         []string `cel:"alt_names"`
	Physical         bool     `cel:"physical"`
}

// view is a link as expressions see it. A member of a bond takes the address of
// the bond; it is selected by its own all the same.
func view(s network.LinkStatus) Link {
	hardware := s.HardwareAddr
	if s.SlaveKind == "bond" && len(s.PermanentAddr) > 0 {
		hardware = s.PermanentAddr
	}

	return Link{
		Index: s.Index, Type: int(s.Type), LinkIndex: s.LinkIndex, Flags: uint32(s.Flags),
		HardwareAddr: hardware, PermanentAddr: s.PermanentAddr, BroadcastAddr: s.BroadcastAddr,
		MTU: s.MTU, QueueDisc: s.QueueDisc, MasterIndex: s.MasterIndex, OperationalState: int(s.OperationalState),
		Kind: s.Kind, SlaveKind: s.SlaveKind, BusPath: s.BusPath, PCIID: s.PCIID,
		Driver: s.Driver, DriverVersion: s.DriverVersion, FirmwareVersion: s.FirmwareVersion,
		ProductID: s.ProductID, VendorID: s.VendorID, Product: s.Product, Vendor: s.Vendor,
		LinkState: s.LinkState, SpeedMegabits: s.SpeedMegabits, Port: int(s.Port), Duplex: int(s.Duplex),
		Alias: s.Alias, AltNames: s.AltNames, Physical: s.Physical(),
	}
}

// compile makes a program of an expression about a link.
func compile(text string) (cel.Program, error) {
	link := reflect.TypeFor[Link]()

	return expression.Compile(text, cel.BoolType,
		ext.NativeTypes(link, ext.ParseStructTag("cel")),
		cel.Variable("link", cel.ObjectType(link.String())),
		cel.Function("mac", cel.Overload("mac_bytes", []*cel.Type{cel.BytesType}, cel.StringType, cel.UnaryBinding(mac))),
		expression.Glob(),
	)
}

// mac is the text of an address: 02:00:00:00:00:01.
func mac(value ref.Val) ref.Val {
	address, ok := value.Value().([]byte)
	if !ok {
		return types.MaybeNoSuchOverloadErr(value)
	}

	return types.String(network.MAC(address).String())
}

// selects reports whether an expression is true of a link.
func selects(program cel.Program, link network.LinkStatus) (bool, error) {
	result, _, err := program.Eval(map[string]any{"link": view(link)})
	if err != nil {
		return false, err
	}

	return result.Value() == true, nil
}
