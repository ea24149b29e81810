package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	waiting "github.com/sine-relay/sine-relay/internal/wait"
)

// A full pipe would hold up every visitor before the answer.
func TestLog_UnreadPipeDoesNotBlock(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	log, flush := NewLogger(write, 0, "json")
	const length = 1000
	const lines = 3 * maxDetached / length
	for n := range lines {
		log.Info("line", "n", n, "padding", strings.Repeat("x", length))
	}
	go func() {
		for range 10 {
			log.Info("later")
		}
		flush()
		write.Close()
	}()
	seen, missing := 0, 0
	for scan := bufio.NewScanner(read); scan.Scan(); {
		var n int
		if i := strings.Index(scan.Text(), `"lines":`); i > 0 {
			fmt.Sscanf(scan.Text()[i:], `"lines":%d}`, &n)
			missing += n
			continue
		}
		seen++
	}
	if missing == 0 || seen+missing != lines+10 {
		t.Errorf("%d lines are there and %d are said to be missing, of %d", seen, missing, lines+10)
	}
	io.Copy(io.Discard, read)
}

// Whoever reads a line sees what it says, not what an order's text makes of it.
func TestLog_LinesArePrintable(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log, _ := NewLogger(&out, 0, format)
		log.Info("mess\u202eage", "reason", "a\u202eb", "err", errors.New("c\u2066d\x1b[2J"), "plain", "Gasleck in Haus Süd")
		if text := out.String(); strings.ContainsAny(text, "\u202e\u2066\x1b") || !strings.Contains(text, "Gasleck in Haus Süd") || !strings.Contains(text, `a\`) {
			t.Errorf("%s: %q", format, text)
		}
	}
}

func asText(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }

// gated is a log that takes nothing until it is opened.
type gated struct {
	open chan struct{}

	mu     sync.Mutex
	writes []string
}

func (g *gated) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writes = append(g.writes, string(p))
	return len(p), nil
}

func (g *gated) text() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.writes, "")
}

func TestLog_LinesThatComeWhileOneIsWrittenAreWrittenTogether(t *testing.T) {
	t.Parallel()
	to := &gated{open: make(chan struct{})}
	apart := detach(to, asText, time.Hour)
	fmt.Fprintln(apart, "first")
	waiting.Until(t, "the first line is taken", func() bool { apart.mu.Lock(); defer apart.mu.Unlock(); return apart.writing })
	for n := range 100 {
		fmt.Fprintln(apart, "later", n)
	}
	close(to.open)
	apart.flush()
	if len(to.writes) != 2 || to.writes[0] != "first\n" || strings.Count(to.writes[1], "\n") != 100 || !strings.HasPrefix(to.writes[1], "later 0\nlater 1\n") {
		t.Errorf("%d writes: %q", len(to.writes), to.writes)
	}
}

// Between two writes there is an hour here: only what must not wait is written.
func TestLog_AWarningTakesTheLinesBeforeItAlong(t *testing.T) {
	t.Parallel()
	for level, prompt := range map[slog.Level]bool{slog.LevelInfo: false, slog.LevelWarn: true, slog.LevelError: true} {
		to := &gated{open: make(chan struct{})}
		close(to.open)
		apart := detach(to, asText, time.Hour)
		h := slog.NewTextHandler(apart, nil)
		log := slog.New(lineHandler{plain: h, escaping: h, hurry: apart.hurry})
		log.Info("first")
		waiting.Until(t, "the first line is written", func() bool { return !apart.waits() })
		log.Info("waits")
		log.Log(t.Context(), level, "last")
		if prompt {
			waiting.Until(t, level.String()+" is written", func() bool { return !apart.waits() })
		}
		text := to.text()
		if inOrder := strings.Contains(text, "waits") && strings.Index(text, "last") > strings.Index(text, "waits"); inOrder != prompt {
			t.Errorf("%s: %q", level, text)
		}
		apart.flush()
		if !strings.Contains(to.text(), "last") {
			t.Errorf("%s: flush left a line behind", level)
		}
	}
}

// What can be printed is written in the same bytes by the quick way.
func TestLog_BothWaysWriteTheSame(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		var quick, slow bytes.Buffer
		log, _ := NewLogger(&quick, slog.LevelDebug, format)
		reference, _ := NewLogger(&slow, slog.LevelDebug, format)
		for _, attrs := range [][]slog.Attr{
			nil,
			{slog.String("id", `K7 "Q2" \ <&>`), slog.Int("status", 200), slog.Float64("ms", 1.234), slog.Bool("b", true)},
			{slog.Time("at", time.Unix(1, 5)), slog.Duration("took", time.Second), slog.Uint64("u", 1), slog.String("", "")},
			{slog.Group("g", "x", "y\u202e"), slog.Any("err", errors.New("e\x1b")), slog.Any("list", []int{1})},
			{slog.String("text", "Haus Süd \u202e")},
		} {
			r := slog.NewRecord(time.Unix(1e9, 0), slog.LevelInfo, "webhook", 0)
			r.AddAttrs(attrs...)
			for _, derive := range []func(slog.Handler) slog.Handler{
				func(h slog.Handler) slog.Handler { return h },
				func(h slog.Handler) slog.Handler { return h.WithAttrs([]slog.Attr{slog.String("with", "plain")}) },
				func(h slog.Handler) slog.Handler { return h.WithAttrs([]slog.Attr{slog.String("with", "\u202e")}) },
				func(h slog.Handler) slog.Handler { return h.WithGroup("group") },
			} {
				quick.Reset()
				slow.Reset()
				escaping := reference.Handler().(lineHandler).escaping
				if err := errors.Join(derive(log.Handler()).Handle(t.Context(), r), derive(escaping).Handle(t.Context(), r)); err != nil {
					t.Fatal(err)
				}
				if quick.Len() == 0 || quick.String() != slow.String() {
					t.Errorf("%s: %v is written as %s, not as %s", format, attrs, quick.String(), slow.String())
				}
			}
		}
	}
}
