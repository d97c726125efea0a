package acquire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// MetalISO is the value of talos.config= that asks for a file config.yaml on a
// volume with this label instead of a download.
const MetalISO = "metal-iso"

// Facts are what a URL can contain about the machine that asks.
type Facts struct {
	UUID     string // of the firmware
	Serial   string // of the firmware
	MAC      string // of the first link that is up
	Hostname string
	Code     string // given by a person at the console
}

// variables are the facts by their names in URLs.
func (f Facts) variables() map[string]string {
	return map[string]string{"uuid": f.UUID, "serial": f.Serial, "mac": f.MAC, "hostname": f.Hostname, "code": f.Code}
}

// Variables lists the facts that a URL contains: as ${name}, or as a query
// parameter of that name which is empty.
func Variables(text string) ([]string, error) {
	parsed, err := parse(text)
	if err != nil {
		return nil, err
	}

	var names []string

	for name := range (Facts{}).variables() {
		if asked(parsed, name) || strings.Contains(text, "${"+name+"}") {
			names = append(names, name)
		}
	}

	slices.Sort(names)

	return names, nil
}

// Expand puts the facts into a URL.
func Expand(text string, facts Facts) (string, error) {
	parsed, err := parse(text)
	if err != nil {
		return "", err
	}

	query := parsed.Query()

	for name, value := range facts.variables() {
		if asked(parsed, name) {
			query.Set(name, value)
		}

		for key, values := range query {
			for i := range values {
				values[i] = strings.ReplaceAll(values[i], "${"+name+"}", value)
			}

			query[key] = values
		}

		parsed.Path = strings.ReplaceAll(parsed.Path, "${"+name+"}", value)
	}

	parsed.RawPath = ""
	parsed.RawQuery = query.Encode()

	return parsed.String(), nil
}

func asked(parsed *url.URL, name string) bool {
	values, ok := parsed.Query()[name]

	return ok && len(values) == 1 && values[0] == ""
}

func parse(text string) (*url.URL, error) {
	parsed, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("talos.config is no URL") // its text may contain a token
	}

	if parsed.Scheme != "http" && parsed.Scheme != "https" {
		return nil, fmt.Errorf("talos.config has scheme %q: http, https or the word %s are known", parsed.Scheme, MetalISO)
	}

	return parsed, nil
}

const (
	attemptTimeout = 20 * time.Second
	firstPause     = time.Second
	longestPause   = 30 * time.Second
	maxDownload    = 8 << 20
)

// errAbsent says that the server knows the machine and has no configuration
// for it.
var errAbsent = errors.New("the server has no configuration for this machine")

// Download fetches a configuration, and tries until it has it or ctx ends: the
// network may come late, and so may the server. It returns nil when the server
// answers that it has none (404, or nothing). Locate is asked before each
// attempt, since what the URL says about the machine may change meanwhile.
func Download(ctx context.Context, client *http.Client, locate func(context.Context) (string, error), logger *slog.Logger) ([]byte, error) {
	pause := firstPause

	for {
		text, err := attempt(ctx, client, locate)

		switch {
		case err == nil:
			return text, nil
		case errors.Is(err, errAbsent):
			logger.Warn("downloading machine configuration", "error", err)

			return nil, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}

		logger.Warn("downloading machine configuration: trying again", "error", err, "pause", pause)

		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}

		pause = min(2*pause, longestPause)
	}
}

func attempt(ctx context.Context, client *http.Client, locate func(context.Context) (string, error)) ([]byte, error) {
	location, err := locate(ctx)
	if err != nil {
		return nil, err
	}

	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return nil, withoutURL(err)
	}

	response, err := client.Do(request)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer response.Body.Close()

	switch {
	case response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusNoContent:
		return nil, errAbsent
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the server answers %s", response.Status)
	}

	text, err := io.ReadAll(io.LimitReader(response.Body, maxDownload+1))

	switch {
	case err != nil:
		return nil, withoutURL(err)
	case len(text) > maxDownload:
		return nil, fmt.Errorf("what the server sends is larger than %d bytes", maxDownload)
	case len(text) == 0:
		return nil, errAbsent
	}

	return text, nil
}

// withoutURL takes the URL out of an error of the HTTP client: it may contain
// a secret.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}

	return err
}
