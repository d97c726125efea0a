// Package ethtool reads and changes the settings of Ethernet adapters: rings,
// channels, features, what wakes the machine up, and reads what adapters and
// their drivers say of themselves.
//
// It speaks the kernel's generic netlink family "ethtool", through the library
// where that has the message.
package ethtool

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/mdlayher/ethtool"
	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// ErrUnsupported says that an adapter has no such settings.
var ErrUnsupported = errors.New("the adapter has no such settings")

// Client is a connection to the kernel, in the network namespace in which it
// was made. It is safe for concurrent use.
type Client struct {
	conn    *genetlink.Conn
	family  genetlink.Family
	library *ethtool.Client
}

// New connects. The caller closes the client.
func New() (*Client, error) {
	conn, err := genetlink.Dial(&netlink.Config{Strict: true})
	if err != nil {
		return nil, fmt.Errorf("opening generic netlink: %w", err)
	}

	family, err := conn.GetFamily(unix.ETHTOOL_GENL_NAME)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("finding the settings of adapters in the kernel: %w", err), conn.Close())
	}

	library, err := ethtool.New()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("finding the settings of adapters in the kernel: %w", err), conn.Close())
	}

	return &Client{conn: conn, family: family, library: library}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return errors.Join(c.conn.Close(), c.library.Close()) }

// Watch calls notify after every change of a setting, and once at the start,
// until ctx ends.
func Watch(ctx context.Context, notify func()) error {
	conn, err := genetlink.Dial(nil)
	if err != nil {
		return fmt.Errorf("opening generic netlink: %w", err)
	}
	defer conn.Close()

	family, err := conn.GetFamily(unix.ETHTOOL_GENL_NAME)
	if err != nil {
		return fmt.Errorf("finding the settings of adapters in the kernel: %w", err)
	}

	for _, group := range family.Groups {
		if group.Name == unix.ETHTOOL_MCGRP_MONITOR_NAME {
			if err := conn.JoinGroup(group.ID); err != nil {
				return fmt.Errorf("watching the settings of adapters: %w", err)
			}
		}
	}

	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	// What changed between the first look and the subscription.
	notify()

	for {
		// More than the socket can hold is a change as well.
		if _, _, err := conn.Receive(); err != nil && !errors.Is(err, unix.ENOBUFS) {
			if ctx.Err() != nil {
				return nil
			}

			return fmt.Errorf("watching the settings of adapters: %w", err)
		}

		notify()
	}
}

// Driver is what the driver of an adapter says of itself.
type Driver struct {
	Name, Version, Firmware string
	// Bus is the address of the adapter on its bus: 0000:00:03.0.
	Bus string
}

// Driver asks the driver of a link.
func (*Client) Driver(link string) (Driver, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return Driver{}, fmt.Errorf("opening a socket: %w", err)
	}
	defer unix.Close(fd)

	info, err := unix.IoctlGetEthtoolDrvinfo(fd, link)
	if err != nil {
		return Driver{}, failure("reading the driver of "+link, err)
	}

	return Driver{
		Name: unix.ByteSliceToString(info.Driver[:]), Version: unix.ByteSliceToString(info.Version[:]),
		Firmware: unix.ByteSliceToString(info.Fw_version[:]), Bus: unix.ByteSliceToString(info.Bus_info[:]),
	}, nil
}

// Mode is how an adapter is connected.
type Mode struct {
	Link bool // whether there is a signal
	// Speed is in megabits per second, zero while it is not known.
	Speed  int
	Port   int // of uapi/linux/ethtool.h
	Duplex int // the same
	// Ours and Peer are the modes that each end offers.
	Ours, Peer []string
}

// Unknown is a port or duplex mode that is not known.
const Unknown = 0xff

// Mode asks how a link is connected. What the adapter does not say stays
// unknown.
func (c *Client) Mode(link string) (Mode, error) {
	mode := Mode{Port: Unknown, Duplex: Unknown}
	on := ethtool.Interface{Name: link}

	state, err := c.library.LinkState(on)
	if err != nil {
		return mode, failure("reading the state of "+link, err)
	}

	mode.Link = state.Link

	if info, err := c.library.LinkInfo(on); err == nil {
		mode.Port = int(info.Port)
	} else if err := failure("reading the port of "+link, err); !errors.Is(err, ErrUnsupported) {
		return mode, err
	}

	modes, err := c.library.LinkMode(on)
	if err != nil {
		if err := failure("reading the speed of "+link, err); !errors.Is(err, ErrUnsupported) {
			return mode, err
		}

		return mode, nil
	}

	mode.Duplex = int(modes.Duplex)
	// The kernel has all ones for a speed that it does not know.
	if speed := uint32(modes.SpeedMegabits); speed != 1<<32-1 {
		mode.Speed = int(speed)
	}

	for _, m := range modes.Ours {
		mode.Ours = append(mode.Ours, m.Name)
	}

	for _, m := range modes.Peer {
		mode.Peer = append(mode.Peer, m.Name)
	}

	return mode, nil
}

// WakeOnLAN returns the events that wake the machine up, as bits of
// uapi/linux/ethtool.h.
func (c *Client) WakeOnLAN(link string) (uint32, error) {
	wol, err := c.library.WakeOnLAN(ethtool.Interface{Name: link})
	if err != nil {
		return 0, failure("reading what wakes the machine up over "+link, err)
	}

	return uint32(wol.Modes), nil
}

// SetWakeOnLAN says what wakes the machine up.
func (c *Client) SetWakeOnLAN(link string, modes uint32) error {
	wol := ethtool.WakeOnLAN{Interface: ethtool.Interface{Name: link}, Modes: ethtool.WOLMode(modes)}

	return failure("setting what wakes the machine up over "+link, c.library.SetWakeOnLAN(wol))
}

// failure tells of an error, and of those that say that an adapter lacks
// something, that it does.
func failure(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ENODEV):
		return fmt.Errorf("%s: %w (%w)", doing, ErrUnsupported, err)
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}

// get sends a request about a link and has every attribute of the answer
// decoded.
func (c *Client) get(command uint8, link string, more func(*netlink.AttributeEncoder), decode func(*netlink.AttributeDecoder) error) error {
	answers, err := c.send(command, link, netlink.Request, more)
	if err != nil {
		return err
	}

	for _, answer := range answers {
		decoder, err := netlink.NewAttributeDecoder(answer.Data)
		if err != nil {
			return err
		}

		for decoder.Next() {
			if err := decode(decoder); err != nil {
				return err
			}
		}

		if err := decoder.Err(); err != nil {
			return err
		}
	}

	return nil
}

// set sends a change of a link.
func (c *Client) set(command uint8, link string, encode func(*netlink.AttributeEncoder)) error {
	_, err := c.send(command, link, netlink.Request|netlink.Acknowledge, encode)

	return err
}

const (
	header      = 1      // the attribute that every message begins with
	headerFlags = 3      // an attribute in it
	omitReply   = 1 << 1 // a flag
)

func (c *Client) send(
	command uint8, link string, flags netlink.HeaderFlags, encode func(*netlink.AttributeEncoder),
) ([]genetlink.Message, error) {
	attributes := netlink.NewAttributeEncoder()
	attributes.Nested(header, func(nested *netlink.AttributeEncoder) error {
		nested.String(unix.ETHTOOL_A_HEADER_DEV_NAME, link)

		// Some changes would be answered twice.
		if flags&netlink.Acknowledge != 0 {
			nested.Uint32(headerFlags, omitReply)
		}

		return nil
	})

	if encode != nil {
		encode(attributes)
	}

	data, err := attributes.Encode()
	if err != nil {
		return nil, err
	}

	message := genetlink.Message{
		Header: genetlink.Header{Command: command, Version: unix.ETHTOOL_GENL_VERSION}, Data: data,
	}

	return c.conn.Execute(message, c.family.ID, flags)
}
