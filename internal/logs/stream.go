package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Stream sends the lines of a buffer to w, each with its line feed, beginning
// with the last tail lines (negative: all). Without follow it ends after the
// last line; with follow it goes on until ctx ends, which is not an error. A
// loss of lines shows as a line of its own.
func (b *Buffer) Stream(ctx context.Context, w io.Writer, tail int, follow bool) error {
	reader := b.Follow(tail)

	for {
		line, ok, err := next(ctx, reader, follow)

		var gap *GapError

		switch {
		case errors.As(err, &gap):
			if _, err := fmt.Fprintf(w, "[%d lines lost]\n", gap.Missed); err != nil {
				return err
			}

			continue
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case !ok:
			return nil
		}

		if _, err := w.Write(append(line.Text[:len(line.Text):len(line.Text)], '\n')); err != nil {
			return err
		}
	}
}

func next(ctx context.Context, reader *Reader, follow bool) (Line, bool, error) {
	if !follow {
		return reader.TryNext()
	}

	line, err := reader.Next(ctx)

	return line, err == nil, err
}
