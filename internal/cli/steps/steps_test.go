package steps_test

import (
	"bytes"
	"errors"
	"regexp"
	"testing"

	"github.com/basalt-os/basalt/internal/cli/steps"
)

func TestLinesWithoutTerminal(t *testing.T) {
	var out bytes.Buffer

	printer := steps.New(&out)
	broken := errors.New("broken")

	if err := printer.Do("one", func(step *steps.Step) error {
		step.Detail("not shown")

		return nil
	}); err != nil {
		t.Error(err)
	}

	if err := printer.Do("two", func(*steps.Step) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("the error of a step is returned, got %v", err)
	}

	if want := regexp.MustCompile(`^ok +one +\d+\.\ds\nfailed +two +\d+\.\ds\n$`); !want.Match(out.Bytes()) {
		t.Errorf("unexpected lines:\n%s", out.String())
	}

	if results := printer.Results(); len(results) != 2 || results[0].Error != nil || results[1].Error == nil {
		t.Errorf("unexpected results %v", results)
	}
}
