package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
)

// NewLogger writes JSON, or text where a person looks on. What it writes to a file
// or a pipe is written apart from those who log; flush waits for it for a moment.
//
// From then on a pipe that nobody reads any more is an error of the write and no
// more the end of the program: Go obeys SIGPIPE on standard output and standard
// error, and a relay would die at its next line of a log collector's restart.
func NewLogger(w io.Writer, level slog.Level, format string) (log *slog.Logger, flush func()) {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: printableAttr}
	handler := func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, options) }
	if format == "text" || (format != "json" && terminal.Is(w)) {
		handler = func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, options) }
	}
	f, ok := w.(*os.File)
	if !ok {
		return slog.New(handler(w)), func() {}
	}
	signal.Ignore(syscall.SIGPIPE)
	apart := detach(f, handler)
	return slog.New(handler(apart)), apart.flush
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

const (
	// detachedLines may wait to be written: some 2 MB.
	detachedLines = 4096
	// flushTimeout is how long the end waits for a log that is not read.
	flushTimeout = time.Second
)

// detached writes lines in a goroutine of its own. A log that nobody reads, a full
// pipe or a disk that hangs, would otherwise hold up every visitor before the
// answer. When too many lines wait, further ones are dropped, as are those that
// cannot be written: a pipe without a reader, a disk that is full. Their number is
// written once there is room again.
type detached struct {
	w     io.Writer
	lines chan []byte
	// dropped is of those who log, lost of the one who writes.
	waiting, dropped atomic.Int64
	lost             int64
	// torn is set while a line that was written in part ends what is there.
	torn bool
	// notice makes the line that says how many are missing.
	notice func(io.Writer) slog.Handler
}

// linesLost counts for this process, whose standard output is one.
var linesLost atomic.Int64

func registerLog(reg prometheus.Registerer) {
	promauto.With(reg).NewCounterFunc(prometheus.CounterOpts{
		Name: "sine_relay_log_lines_lost_total", Help: "Lines of the log that were not written: nobody read it, its pipe was broken or its disk was full.",
	}, func() float64 { return float64(linesLost.Load()) })
}

func detach(w io.Writer, notice func(io.Writer) slog.Handler) *detached {
	d := &detached{w: w, lines: make(chan []byte, detachedLines), notice: notice}
	go func() {
		for line := range d.lines {
			d.put(line)
			d.waiting.Add(-1)
		}
	}()
	return d
}

// put writes a line, behind the number of those that are missing before it.
func (d *detached) put(line []byte) {
	d.lost += d.dropped.Swap(0)
	if d.lost > 0 {
		if !d.whole(d.missing()) {
			d.lose()
			return
		}
		d.lost = 0
	}
	if !d.whole(line) {
		d.lose()
	}
}

func (d *detached) lose() {
	d.lost++
	linesLost.Add(1)
}

// missing is the line that says so.
func (d *detached) missing() []byte {
	var line bytes.Buffer
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "the log could not be written, and lines are missing", 0)
	r.AddAttrs(slog.Int64("lines", d.lost))
	_ = d.notice(&line).Handle(context.Background(), r) // a buffer takes everything
	return line.Bytes()
}

// whole reports whether a line was written. One that was cut ends with the next.
func (d *detached) whole(line []byte) bool {
	if d.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := d.w.Write(line)
	if n > 0 {
		d.torn = n < len(line)
	}
	return err == nil
}

// Write never waits and never fails.
func (d *detached) Write(line []byte) (int, error) {
	d.waiting.Add(1)
	select {
	case d.lines <- bytes.Clone(line):
	default:
		d.waiting.Add(-1)
		d.dropped.Add(1)
		linesLost.Add(1)
	}
	return len(line), nil
}

func (d *detached) flush() {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for giveUp := time.After(flushTimeout); d.waiting.Load() > 0; {
		select {
		case <-tick.C:
		case <-giveUp:
			return
		}
	}
}
