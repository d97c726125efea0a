package network

import (
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// LinkType is the hardware type of a link, as ARP numbers it.
type LinkType uint16

// Values of LinkType.
const (
	LinkTypeNetrom            LinkType = 0
	LinkTypeEther             LinkType = 1
	LinkTypeEether            LinkType = 2
	LinkTypeAX25              LinkType = 3
	LinkTypePronet            LinkType = 4
	LinkTypeChaos             LinkType = 5
	LinkTypeIEEE802           LinkType = 6
	LinkTypeArcnet            LinkType = 7
	LinkTypeAtalk             LinkType = 8
	LinkTypeDLCI              LinkType = 15
	LinkTypeATM               LinkType = 19
	LinkTypeMetricom          LinkType = 23
	LinkTypeIEEE1394          LinkType = 24
	LinkTypeEUI64             LinkType = 27
	LinkTypeInfiniband        LinkType = 32
	LinkTypeSlip              LinkType = 256
	LinkTypeCslip             LinkType = 257
	LinkTypeSlip6             LinkType = 258
	LinkTypeCslip6            LinkType = 259
	LinkTypeRsrvd             LinkType = 260
	LinkTypeAdapt             LinkType = 264
	LinkTypeRose              LinkType = 270
	LinkTypeX25               LinkType = 271
	LinkTypeHwx25             LinkType = 272
	LinkTypeCAN               LinkType = 280
	LinkTypePPP               LinkType = 512
	LinkTypeCisco             LinkType = 513
	LinkTypeLapb              LinkType = 516
	LinkTypeDdcmp             LinkType = 517
	LinkTypeRawhdlc           LinkType = 518
	LinkTypeIPIP              LinkType = 768
	LinkTypeTunnel6           LinkType = 769
	LinkTypeFrad              LinkType = 770
	LinkTypeSkip              LinkType = 771
	LinkTypeLoopback          LinkType = 772
	LinkTypeLocaltlk          LinkType = 773
	LinkTypeFDDI              LinkType = 774
	LinkTypeBif               LinkType = 775
	LinkTypeSIT               LinkType = 776
	LinkTypeIPDDP             LinkType = 777
	LinkTypeGRE               LinkType = 778
	LinkTypePimreg            LinkType = 779
	LinkTypeHIPPI             LinkType = 780
	LinkTypeAsh               LinkType = 781
	LinkTypeEconet            LinkType = 782
	LinkTypeIRDA              LinkType = 783
	LinkTypeFcpp              LinkType = 784
	LinkTypeFcal              LinkType = 785
	LinkTypeFcpl              LinkType = 786
	LinkTypeFcfb0             LinkType = 787
	LinkTypeFcfb1             LinkType = 788
	LinkTypeFcfb2             LinkType = 789
	LinkTypeFcfb3             LinkType = 790
	LinkTypeFcfb4             LinkType = 791
	LinkTypeFcfb5             LinkType = 792
	LinkTypeFcfb6             LinkType = 793
	LinkTypeFcfb7             LinkType = 794
	LinkTypeFcfb8             LinkType = 795
	LinkTypeFcfb9             LinkType = 796
	LinkTypeFcfb10            LinkType = 797
	LinkTypeFcfb11            LinkType = 798
	LinkTypeFcfb12            LinkType = 799
	LinkTypeTr                LinkType = 800
	LinkTypeIEEE80211         LinkType = 801
	LinkTypeIEEE80211Prism    LinkType = 802
	LinkTypeIEEE80211Radiotap LinkType = 803
	LinkTypeIEEE802154        LinkType = 804
	LinkTypeIEEE802154Monitor LinkType = 805
	LinkTypePhonet            LinkType = 820
	LinkTypePhonetPipe        LinkType = 821
	LinkTypeCaif              LinkType = 822
	LinkTypeIP6GRE            LinkType = 823
	LinkTypeNetlink           LinkType = 824
	LinkType6lowpan           LinkType = 825
	LinkTypeNohdr             LinkType = 65534
	LinkTypeVoid              LinkType = 65535
)

var linkTypeNames = enum.Names[LinkType]{
	LinkTypeNetrom:            "netrom",
	LinkTypeEther:             "ether",
	LinkTypeEether:            "eether",
	LinkTypeAX25:              "ax25",
	LinkTypePronet:            "pronet",
	LinkTypeChaos:             "chaos",
	LinkTypeIEEE802:           "ieee802",
	LinkTypeArcnet:            "arcnet",
	LinkTypeAtalk:             "atalk",
	LinkTypeDLCI:              "dlci",
	LinkTypeATM:               "atm",
	LinkTypeMetricom:          "metricom",
	LinkTypeIEEE1394:          "ieee1394",
	LinkTypeEUI64:             "eui64",
	LinkTypeInfiniband:        "infiniband",
	LinkTypeSlip:              "slip",
	LinkTypeCslip:             "cslip",
	LinkTypeSlip6:             "slip6",
	LinkTypeCslip6:            "cslip6",
	LinkTypeRsrvd:             "rsrvd",
	LinkTypeAdapt:             "adapt",
	LinkTypeRose:              "rose",
	LinkTypeX25:               "x25",
	LinkTypeHwx25:             "hwx25",
	LinkTypeCAN:               "can",
	LinkTypePPP:               "ppp",
	LinkTypeCisco:             "cisco",
	LinkTypeLapb:              "lapb",
	LinkTypeDdcmp:             "ddcmp",
	LinkTypeRawhdlc:           "rawhdlc",
	LinkTypeIPIP:              "ipip",
	LinkTypeTunnel6:           "tunnel6",
	LinkTypeFrad:              "frad",
	LinkTypeSkip:              "skip",
	LinkTypeLoopback:          "loopback",
	LinkTypeLocaltlk:          "localtlk",
	LinkTypeFDDI:              "fddi",
	LinkTypeBif:               "bif",
	LinkTypeSIT:               "sit",
	LinkTypeIPDDP:             "ip/ddp",
	LinkTypeGRE:               "gre",
	LinkTypePimreg:            "pimreg",
	LinkTypeHIPPI:             "hippi",
	LinkTypeAsh:               "ash",
	LinkTypeEconet:            "econet",
	LinkTypeIRDA:              "irda",
	LinkTypeFcpp:              "fcpp",
	LinkTypeFcal:              "fcal",
	LinkTypeFcpl:              "fcpl",
	LinkTypeFcfb0:             "fcfb_0",
	LinkTypeFcfb1:             "fcfb_1",
	LinkTypeFcfb2:             "fcfb_2",
	LinkTypeFcfb3:             "fcfb_3",
	LinkTypeFcfb4:             "fcfb_4",
	LinkTypeFcfb5:             "fcfb_5",
	LinkTypeFcfb6:             "fcfb_6",
	LinkTypeFcfb7:             "fcfb_7",
	LinkTypeFcfb8:             "fcfb_8",
	LinkTypeFcfb9:             "fcfb_9",
	LinkTypeFcfb10:            "fcfb_10",
	LinkTypeFcfb11:            "fcfb_11",
	LinkTypeFcfb12:            "fcfb_12",
	LinkTypeTr:                "tr",
	LinkTypeIEEE80211:         "ieee802.11",
	LinkTypeIEEE80211Prism:    "ieee802.11_prism",
	LinkTypeIEEE80211Radiotap: "ieee802.11_radiotap",
	LinkTypeIEEE802154:        "ieee802.15.4",
	LinkTypeIEEE802154Monitor: "ieee802.15.4_monitor",
	LinkTypePhonet:            "phonet",
	LinkTypePhonetPipe:        "phonet_pipe",
	LinkTypeCaif:              "caif",
	LinkTypeIP6GRE:            "ip6gre",
	LinkTypeNetlink:           "netlink",
	LinkType6lowpan:           "6lowpan",
	LinkTypeNohdr:             "nohdr",
	LinkTypeVoid:              "void",
}

// String returns the text form.
func (l LinkType) String() string { return linkTypeNames.Text(l) }

// MarshalText implements encoding.TextMarshaler.
func (l LinkType) MarshalText() ([]byte, error) { return linkTypeNames.MarshalText(l) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *LinkType) UnmarshalText(text []byte) error { return linkTypeNames.UnmarshalText(text, l) }

// OperationalState is the operational state of a link (RFC 2863).
type OperationalState uint8

// Values of OperationalState.
const (
	OperationalStateUnknown        OperationalState = 0
	OperationalStateNotPresent     OperationalState = 1
	OperationalStateDown           OperationalState = 2
	OperationalStateLowerLayerDown OperationalState = 3
	OperationalStateTesting        OperationalState = 4
	OperationalStateDormant        OperationalState = 5
	OperationalStateUp             OperationalState = 6
)

var operationalStateNames = enum.Names[OperationalState]{
	OperationalStateUnknown:        "unknown",
	OperationalStateNotPresent:     "notPresent",
	OperationalStateDown:           "down",
	OperationalStateLowerLayerDown: "lowerLayerDown",
	OperationalStateTesting:        "testing",
	OperationalStateDormant:        "dormant",
	OperationalStateUp:             "up",
}

// String returns the text form.
func (o OperationalState) String() string { return operationalStateNames.Text(o) }

// MarshalText implements encoding.TextMarshaler.
func (o OperationalState) MarshalText() ([]byte, error) { return operationalStateNames.MarshalText(o) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *OperationalState) UnmarshalText(text []byte) error {
	return operationalStateNames.UnmarshalText(text, o)
}
