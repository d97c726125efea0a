package network

import (
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// LinkFlags is the set of flags of a link.
type LinkFlags uint32

// Values of LinkFlags.
const (
	LinkFlagUp           LinkFlags = 0x1
	LinkFlagBroadcast    LinkFlags = 0x2
	LinkFlagDebug        LinkFlags = 0x4
	LinkFlagLoopback     LinkFlags = 0x8
	LinkFlagPointToPoint LinkFlags = 0x10
	LinkFlagNoTrailers   LinkFlags = 0x20
	LinkFlagRunning      LinkFlags = 0x40
	LinkFlagNoARP        LinkFlags = 0x80
	LinkFlagPromisc      LinkFlags = 0x100
	LinkFlagAllMulti     LinkFlags = 0x200
	LinkFlagMaster       LinkFlags = 0x400
	LinkFlagSlave        LinkFlags = 0x800
	LinkFlagMulticast    LinkFlags = 0x1000
	LinkFlagPortsel      LinkFlags = 0x2000
	LinkFlagAutomedia    LinkFlags = 0x4000
	LinkFlagDynamic      LinkFlags = 0x8000
	LinkFlagLowerUp      LinkFlags = 0x10000
	LinkFlagDormant      LinkFlags = 0x20000
	LinkFlagEcho         LinkFlags = 0x40000
)

var linkFlagsNames = enum.Flags[LinkFlags]{
	LinkFlagUp:           "UP",
	LinkFlagBroadcast:    "BROADCAST",
	LinkFlagDebug:        "DEBUG",
	LinkFlagLoopback:     "LOOPBACK",
	LinkFlagPointToPoint: "POINTTOPOINT",
	LinkFlagNoTrailers:   "NOTRAILERS",
	LinkFlagRunning:      "RUNNING",
	LinkFlagNoARP:        "NOARP",
	LinkFlagPromisc:      "PROMISC",
	LinkFlagAllMulti:     "ALLMULTI",
	LinkFlagMaster:       "MASTER",
	LinkFlagSlave:        "SLAVE",
	LinkFlagMulticast:    "MULTICAST",
	LinkFlagPortsel:      "PORTSEL",
	LinkFlagAutomedia:    "AUTOMEDIA",
	LinkFlagDynamic:      "DYNAMIC",
	LinkFlagLowerUp:      "LOWER_UP",
	LinkFlagDormant:      "DORMANT",
	LinkFlagEcho:         "ECHO",
}

// String returns the text form.
func (l LinkFlags) String() string { return linkFlagsNames.Text(l) }

// MarshalText implements encoding.TextMarshaler.
func (l LinkFlags) MarshalText() ([]byte, error) { return linkFlagsNames.MarshalText(l) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *LinkFlags) UnmarshalText(text []byte) error { return linkFlagsNames.UnmarshalText(text, l) }
