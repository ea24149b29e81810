package server

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
)

// NewLogger writes JSON, or text where a person looks on. What it writes to a file
// or a pipe is written apart from those who log, the lines of [collectTime] together;
// warnings and errors are written without delay. flush waits for what is still to be
// written for a moment. What ends the process without it, such as SIGKILL or a panic
// outside of a request, loses the lines of that time.
//
// From then on a pipe that nobody reads any more is an error of the write and no
// more the end of the program: Go obeys SIGPIPE on standard output and standard
// error, and a relay would die at its next line of a log collector's restart.
func NewLogger(w io.Writer, level slog.Level, format string) (log *slog.Logger, flush func()) {
	handler := func(w io.Writer, o slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(w, &o) }
	if format == "text" || (format != "json" && terminal.Is(w)) {
		handler = func(w io.Writer, o slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, &o) }
	}
	lines := func(w io.Writer) lineHandler {
		return lineHandler{
			plain:    handler(w, slog.HandlerOptions{Level: level}),
			escaping: handler(w, slog.HandlerOptions{Level: level, ReplaceAttr: printableAttr}),
			hurry:    func() {},
		}
	}
	f, ok := w.(*os.File)
	if !ok {
		return slog.New(lines(w)), func() {}
	}
	signal.Ignore(syscall.SIGPIPE)
	apart := detach(f, func(w io.Writer) slog.Handler { return lines(w) }, collectTime)
	h := lines(apart)
	h.hurry = apart.hurry
	return slog.New(h), apart.flush
}

// lineHandler escapes what cannot be printed, and has warnings and errors written
// without delay.
type lineHandler struct {
	// plain and escaping write the same, but for what escaping escapes; to look for it
	// in each attribute takes escaping longer.
	plain, escaping slog.Handler
	hurry           func()
}

// Enabled, Handle, WithAttrs and WithGroup make it a slog.Handler.
func (h lineHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.plain.Enabled(ctx, level)
}

func (h lineHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		defer h.hurry()
	}
	plain := isPlain(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		plain = plain && isPlainAttr(a)
		return plain
	})
	if plain {
		return h.plain.Handle(ctx, r)
	}
	return h.escaping.Handle(ctx, r)
}

func (h lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.escaping = h.escaping.WithAttrs(attrs)
	if slices.ContainsFunc(attrs, func(a slog.Attr) bool { return !isPlainAttr(a) }) {
		h.plain = h.escaping
		return h
	}
	h.plain = h.plain.WithAttrs(attrs)
	return h
}

func (h lineHandler) WithGroup(name string) slog.Handler {
	h.plain, h.escaping = h.plain.WithGroup(name), h.escaping.WithGroup(name)
	return h
}

// isPlainAttr reports whether nothing in an attribute can need an escape. It does not
// look into what is composed.
func isPlainAttr(a slog.Attr) bool {
	switch a.Value.Kind() {
	case slog.KindString:
		return isPlain(a.Value.String())
	case slog.KindAny, slog.KindGroup, slog.KindLogValuer:
		return false
	default:
		return true
	}
}

// isPlain reports whether a text is printable ASCII.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// printableAttr escapes what cannot be printed in a text, which may come from an
// order, a file or a decider. JSON keeps the characters that change the direction of
// writing as they are, and whoever looks at the line reads something else than what it says.
func printableAttr(_ []string, a slog.Attr) slog.Attr {
	var text string
	switch value := a.Value; value.Kind() {
	case slog.KindString:
		text = value.String()
	case slog.KindAny:
		err, ok := value.Any().(error)
		if !ok {
			return a
		}
		text = err.Error()
	}
	if terminal.IsPrintable(text) {
		return a
	}
	return slog.String(a.Key, terminal.PrintableLines(text))
}
