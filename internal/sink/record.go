package sink

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/basalt-os/basalt/internal/logs"
)

// Names that every record has, as the wire has them.
const (
	fieldMessage = "msg"
	fieldLevel   = "talos-level"
	fieldService = "talos-service"
	fieldTime    = "talos-time"
)

// KernelRecord is a message of the kernel as one line of JSON, without its
// line feed. Boot is when the kernel started.
func KernelRecord(m logs.Message, boot time.Time) []byte {
	return encode(map[string]any{
		"clock":      m.SinceUp.Microseconds(),
		"facility":   m.Facility.String(),
		"priority":   m.Priority.String(),
		"seq":        m.Sequence,
		fieldMessage: m.Text,
		fieldLevel:   kernelLevel(m.Priority),
		fieldTime:    boot.Add(m.SinceUp).UTC(),
	})
}

// kernelLevel is a priority in the words of service logs.
func kernelLevel(p logs.Priority) string {
	const err, warning, info = 3, 4, 6

	switch {
	case p <= err:
		return "error"
	case p == warning:
		return "warn"
	case p <= info:
		return "info"
	default:
		return "debug"
	}
}

// ServiceRecord is a line of a service's log as one line of JSON, without its
// line feed. Services log in forms of their own: of a line that is JSON itself
// all fields are kept, and its message and level are found; of one of our own
// (key=value) the level is. Tags are what the configuration adds.
func ServiceRecord(service string, line logs.Line, tags map[string]string) []byte {
	record := map[string]any{fieldLevel: "info", fieldMessage: strings.ToValidUTF8(string(line.Text), "\uFFFD")}

	if fields := object(line.Text); fields != nil {
		maps.Copy(record, fields)

		// The message of a structured line is one of its fields.
		if text, ok := fields["message"].(string); ok && fields[fieldMessage] == nil {
			record[fieldMessage] = text
			delete(record, "message")
		}

		if word, ok := fields["level"].(string); ok {
			record[fieldLevel] = level(word)
		}
	} else if _, after, ok := strings.Cut(string(line.Text), "level="); ok {
		word, _, _ := strings.Cut(after, " ")
		record[fieldLevel] = level(word)
	}

	for name, value := range tags {
		record[name] = value
	}

	record[fieldService], record[fieldTime] = service, line.Time.UTC()

	return encode(record)
}

// object decodes a line that is a JSON object, nil when it is something else.
// Numbers stay as they are written.
func object(line []byte) map[string]any {
	if !bytes.HasPrefix(line, []byte("{")) {
		return nil
	}

	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()

	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil || decoder.More() {
		return nil
	}

	return fields
}

// level translates a program's word for a level.
func level(word string) string {
	switch word = strings.ToLower(word); word {
	case "debug", "info", "warn", "error", "fatal", "panic":
		return word
	case "trace":
		return "debug"
	case "warning":
		return "warn"
	case "err":
		return "error"
	default:
		return "info"
	}
}

// encode never fails: all values are texts, numbers, times or were JSON before.
func encode(record map[string]any) []byte {
	text, err := json.Marshal(record)
	if err != nil {
		panic(err)
	}

	return text
}
