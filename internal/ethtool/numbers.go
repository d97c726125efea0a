package ethtool

import (
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Rings are the sizes of an adapter's rings. What is nil the adapter does not
// have, or is not to be changed.
type Rings struct {
	RXMax, RXMiniMax, RXJumboMax, TXMax, TXPushBufLenMax *uint32

	RX, RXMini, RXJumbo, TX, RXBufLen, CQESize, TXPushBufLen *uint32

	TXPush, RXPush, TCPDataSplit *bool
}

// numbers are the fields of a message that are numbers, by attribute.
type numbers map[uint16]**uint32

func (n numbers) decode(decoder *netlink.AttributeDecoder) {
	if field := n[decoder.Type()]; field != nil {
		*field = new(decoder.Uint32())
	}
}

func (n numbers) encode(encoder *netlink.AttributeEncoder) {
	for attribute, field := range n {
		if *field != nil {
			encoder.Uint32(attribute, **field)
		}
	}
}

// limits are what can only be read.
func (r *Rings) limits() numbers {
	return numbers{
		unix.ETHTOOL_A_RINGS_RX_MAX: &r.RXMax, unix.ETHTOOL_A_RINGS_RX_MINI_MAX: &r.RXMiniMax,
		unix.ETHTOOL_A_RINGS_RX_JUMBO_MAX: &r.RXJumboMax, unix.ETHTOOL_A_RINGS_TX_MAX: &r.TXMax,
		unix.ETHTOOL_A_RINGS_TX_PUSH_BUF_LEN_MAX: &r.TXPushBufLenMax,
	}
}

func (r *Rings) numbers() numbers {
	return numbers{
		unix.ETHTOOL_A_RINGS_RX: &r.RX, unix.ETHTOOL_A_RINGS_RX_MINI: &r.RXMini, unix.ETHTOOL_A_RINGS_RX_JUMBO: &r.RXJumbo,
		unix.ETHTOOL_A_RINGS_TX: &r.TX, unix.ETHTOOL_A_RINGS_RX_BUF_LEN: &r.RXBufLen, unix.ETHTOOL_A_RINGS_CQE_SIZE: &r.CQESize,
		unix.ETHTOOL_A_RINGS_TX_PUSH_BUF_LEN: &r.TXPushBufLen,
	}
}

// The data of TCP is split from headers or not, or the adapter does not say.
const (
	splitOff = 1
	splitOn  = 2
)

// Rings reads the sizes of a link's rings.
func (c *Client) Rings(link string) (Rings, error) {
	var rings Rings

	limits, values := rings.limits(), rings.numbers()

	err := c.get(unix.ETHTOOL_MSG_RINGS_GET, link, nil, func(decoder *netlink.AttributeDecoder) error {
		switch decoder.Type() {
		case unix.ETHTOOL_A_RINGS_TX_PUSH:
			rings.TXPush = new(decoder.Uint8() != 0)
		case unix.ETHTOOL_A_RINGS_RX_PUSH:
			rings.RXPush = new(decoder.Uint8() != 0)
		case unix.ETHTOOL_A_RINGS_TCP_DATA_SPLIT:
			if split := decoder.Uint8(); split == splitOn || split == splitOff {
				rings.TCPDataSplit = new(split == splitOn)
			}
		default:
			limits.decode(decoder)
			values.decode(decoder)
		}

		return nil
	})

	return rings, failure("reading the rings of "+link, err)
}

// SetRings changes the sizes of a link's rings.
func (c *Client) SetRings(link string, rings Rings) error {
	err := c.set(unix.ETHTOOL_MSG_RINGS_SET, link, func(encoder *netlink.AttributeEncoder) {
		rings.numbers().encode(encoder)

		flag := func(attribute uint16, value *bool, off, on uint8) {
			if value == nil {
				return
			}

			if *value {
				off = on
			}

			encoder.Uint8(attribute, off)
		}

		flag(unix.ETHTOOL_A_RINGS_TX_PUSH, rings.TXPush, 0, 1)
		flag(unix.ETHTOOL_A_RINGS_RX_PUSH, rings.RXPush, 0, 1)
		flag(unix.ETHTOOL_A_RINGS_TCP_DATA_SPLIT, rings.TCPDataSplit, splitOff, splitOn)
	})

	return failure("setting the rings of "+link, err)
}

// Channels are the numbers of an adapter's queues. What is nil the adapter does
// not have, or is not to be changed.
type Channels struct {
	RXMax, TXMax, OtherMax, CombinedMax *uint32

	RX, TX, Other, Combined *uint32
}

func (c *Channels) limits() numbers {
	return numbers{
		unix.ETHTOOL_A_CHANNELS_RX_MAX: &c.RXMax, unix.ETHTOOL_A_CHANNELS_TX_MAX: &c.TXMax,
		unix.ETHTOOL_A_CHANNELS_OTHER_MAX: &c.OtherMax, unix.ETHTOOL_A_CHANNELS_COMBINED_MAX: &c.CombinedMax,
	}
}

func (c *Channels) numbers() numbers {
	return numbers{
		unix.ETHTOOL_A_CHANNELS_RX_COUNT: &c.RX, unix.ETHTOOL_A_CHANNELS_TX_COUNT: &c.TX,
		unix.ETHTOOL_A_CHANNELS_OTHER_COUNT: &c.Other, unix.ETHTOOL_A_CHANNELS_COMBINED_COUNT: &c.Combined,
	}
}

// Channels reads the numbers of a link's queues.
func (c *Client) Channels(link string) (Channels, error) {
	var channels Channels

	limits, values := channels.limits(), channels.numbers()

	err := c.get(unix.ETHTOOL_MSG_CHANNELS_GET, link, nil, func(decoder *netlink.AttributeDecoder) error {
		limits.decode(decoder)
		values.decode(decoder)

		return nil
	})

	return channels, failure("reading the channels of "+link, err)
}

// SetChannels changes the numbers of a link's queues.
func (c *Client) SetChannels(link string, channels Channels) error {
	err := c.set(unix.ETHTOOL_MSG_CHANNELS_SET, link, func(encoder *netlink.AttributeEncoder) { channels.numbers().encode(encoder) })

	return failure("setting the channels of "+link, err)
}
