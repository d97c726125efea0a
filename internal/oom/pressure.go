package oom

import (
	"fmt"
	"strconv"
	"strings"
)

// Stall is how long tasks waited for memory.
type Stall struct {
	Avg10, Avg60, Avg300 float64 // percent of the time, over so many seconds
	Total                float64 // microseconds since the start
}

// Pressure is how much memory is lacking: the kernel's pressure stall
// information.
type Pressure struct {
	Some Stall // at least one task waited
	Full Stall // all tasks waited
}

// ParsePressure reads the kernel's form:
//
//	some avg10=0.00 avg60=0.00 avg300=0.00 total=0
//	full avg10=0.00 avg60=0.00 avg300=0.00 total=0
func ParsePressure(text string) (Pressure, error) {
	var p Pressure

	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}

		var stall *Stall

		switch words[0] {
		case "some":
			stall = &p.Some
		case "full":
			stall = &p.Full
		default:
			return p, fmt.Errorf("reading pressure: found %q, expected some or full", words[0])
		}

		for _, word := range words[1:] {
			name, text, _ := strings.Cut(word, "=")

			value, err := strconv.ParseFloat(text, 64)
			if err != nil || value < 0 {
				return p, fmt.Errorf("reading pressure: found %q, expected a name and a number", word)
			}

			stall.set(name, value)
		}
	}

	return p, nil
}

// set sets a value by its name; later kernels may have more.
func (s *Stall) set(name string, value float64) {
	switch name {
	case "avg10":
		s.Avg10 = value
	case "avg60":
		s.Avg60 = value
	case "avg300":
		s.Avg300 = value
	case "total":
		s.Total = value
	}
}

// values are the numbers by the names that expressions have for them, after a
// prefix.
func (p Pressure) values(prefix string) map[string]float64 {
	out := map[string]float64{}

	for kind, stall := range map[string]Stall{"some": p.Some, "full": p.Full} {
		out[prefix+kind+"_avg10"] = stall.Avg10
		out[prefix+kind+"_avg60"] = stall.Avg60
		out[prefix+kind+"_avg300"] = stall.Avg300
		out[prefix+kind+"_total"] = stall.Total
	}

	return out
}
