package ethtool

import (
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Feature is something that an adapter can take off the processor.
type Feature struct {
	Name string
	On   bool
	// Fixed says that it cannot be changed.
	Fixed bool
	// Wanted is what was asked for; it takes effect as soon as it can.
	Wanted bool
}

// featureNames is the number of the kernel's list of names of features.
const featureNames = 4 // ETH_SS_FEATURES

// Features reads the features of a link, in the kernel's order.
func (c *Client) Features(link string) ([]Feature, error) {
	const doing = "reading the features of "

	features, err := c.featureNames(link)
	if err != nil {
		return nil, failure(doing+link, err)
	}

	changeable := make([]bool, len(features))

	set := func(to func(i int)) func(i uint32) {
		return func(i uint32) {
			if int(i) < len(features) {
				to(int(i))
			}
		}
	}

	err = c.get(unix.ETHTOOL_MSG_FEATURES_GET, link, nil, func(decoder *netlink.AttributeDecoder) error {
		switch decoder.Type() {
		case unix.ETHTOOL_A_FEATURES_HW:
			decodeBits(decoder, set(func(i int) { changeable[i] = true }))
		case unix.ETHTOOL_A_FEATURES_WANTED:
			decodeBits(decoder, set(func(i int) { features[i].Wanted = true }))
		case unix.ETHTOOL_A_FEATURES_ACTIVE:
			decodeBits(decoder, set(func(i int) { features[i].On = true }))
		case unix.ETHTOOL_A_FEATURES_NOCHANGE:
			decodeBits(decoder, set(func(i int) { features[i].Fixed = true }))
		}

		return nil
	})
	if err != nil {
		return nil, failure(doing+link, err)
	}

	for i := range features {
		features[i].Fixed = features[i].Fixed || !changeable[i]
	}

	return slices.DeleteFunc(features, func(f Feature) bool { return f.Name == "" }), nil
}

// decodeBits calls set for the bits of a set that are on.
func decodeBits(decoder *netlink.AttributeDecoder, set func(i uint32)) {
	decoder.Nested(func(bitset *netlink.AttributeDecoder) error {
		masked := true

		for bitset.Next() {
			switch bitset.Type() {
			case unix.ETHTOOL_A_BITSET_NOMASK:
				masked = false
			case unix.ETHTOOL_A_BITSET_BITS:
				bitset.Nested(func(bits *netlink.AttributeDecoder) error {
					for bits.Next() {
						bits.Nested(func(bit *netlink.AttributeDecoder) error {
							var index uint32

							on := !masked // without a mask, only bits that are on are there

							for bit.Next() {
								switch bit.Type() {
								case unix.ETHTOOL_A_BITSET_BIT_INDEX:
									index = bit.Uint32()
								case unix.ETHTOOL_A_BITSET_BIT_VALUE:
									on = true
								}
							}

							if on {
								set(index)
							}

							return nil
						})
					}

					return nil
				})
			}
		}

		return nil
	})
}

// featureNames are all features that the kernel knows, by index. Some have no
// name.
func (c *Client) featureNames(link string) ([]Feature, error) {
	var features []Feature

	ask := func(encoder *netlink.AttributeEncoder) {
		encoder.Nested(unix.ETHTOOL_A_STRSET_STRINGSETS, func(sets *netlink.AttributeEncoder) error {
			sets.Nested(unix.ETHTOOL_A_STRINGSETS_STRINGSET, func(set *netlink.AttributeEncoder) error {
				set.Uint32(unix.ETHTOOL_A_STRINGSET_ID, featureNames)

				return nil
			})

			return nil
		})
	}

	found := func(entry *netlink.AttributeDecoder) error {
		var (
			index uint32
			name  string
		)

		for entry.Next() {
			switch entry.Type() {
			case unix.ETHTOOL_A_STRING_INDEX:
				index = entry.Uint32()
			case unix.ETHTOOL_A_STRING_VALUE:
				name = entry.String()
			}
		}

		const most = 1 << 10 // that a kernel could ever have

		for uint32(len(features)) <= min(index, most) {
			features = append(features, Feature{})
		}

		if index < most {
			features[index].Name = name
		}

		return nil
	}

	err := c.get(unix.ETHTOOL_MSG_STRSET_GET, link, ask, func(decoder *netlink.AttributeDecoder) error {
		if decoder.Type() == unix.ETHTOOL_A_STRSET_STRINGSETS {
			// Sets, a set, its strings, a string.
			descend(decoder, []uint16{
				unix.ETHTOOL_A_STRINGSETS_STRINGSET, unix.ETHTOOL_A_STRINGSET_STRINGS, unix.ETHTOOL_A_STRINGS_STRING,
			}, found)
		}

		return nil
	})

	return features, err
}

// descend goes into the attributes of a path, and calls leaf for each at its
// end.
func descend(decoder *netlink.AttributeDecoder, path []uint16, leaf func(*netlink.AttributeDecoder) error) {
	decoder.Nested(func(nested *netlink.AttributeDecoder) error {
		if len(path) == 0 {
			return leaf(nested)
		}

		for nested.Next() {
			if nested.Type() == path[0] {
				descend(nested, path[1:], leaf)
			}
		}

		return nil
	})
}

// SetFeatures turns features of a link on or off, by name. The kernel refuses
// names that it does not know.
func (c *Client) SetFeatures(link string, features map[string]bool) error {
	err := c.set(unix.ETHTOOL_MSG_FEATURES_SET, link, func(encoder *netlink.AttributeEncoder) {
		encoder.Nested(unix.ETHTOOL_A_FEATURES_WANTED, func(bitset *netlink.AttributeEncoder) error {
			bitset.Nested(unix.ETHTOOL_A_BITSET_BITS, func(bits *netlink.AttributeEncoder) error {
				for name, on := range features {
					bits.Nested(unix.ETHTOOL_A_BITSET_BITS_BIT, func(bit *netlink.AttributeEncoder) error {
						bit.String(unix.ETHTOOL_A_BITSET_BIT_NAME, name)
						bit.Flag(unix.ETHTOOL_A_BITSET_BIT_VALUE, on)

						return nil
					})
				}

				return nil
			})

			return nil
		})
	})

	return failure("setting the features of "+link, err)
}
