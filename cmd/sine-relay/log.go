package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// newLogger writes JSON, or text where a person looks on. What it writes to a file
// or a pipe is written apart from those who log; flush waits for it for a moment.
func newLogger(w io.Writer, level slog.Level, format string) (log *slog.Logger, flush func()) {
	options := &slog.HandlerOptions{Level: level}
	text := format == "text" || (format != "json" && isTerminal(w))
	flush = func() {}
	if f, ok := w.(*os.File); ok {
		apart := detach(f)
		w, flush = apart, apart.flush
	}
	if text {
		return slog.New(slog.NewTextHandler(w, options)), flush
	}
	return slog.New(slog.NewJSONHandler(w, options)), flush
}

const (
	// detachedLines may wait to be written: some 2 MB.
	detachedLines = 4096
	// flushPatience is how long the end waits for a log that is not read.
	flushPatience = time.Second
)

// detached writes lines in a goroutine of its own. A log that nobody reads, a full
// pipe or a disk that hangs, would otherwise hold up every visitor before the
// answer. When too many lines wait, further ones are dropped, and their number is
// written once there is room again.
type detached struct {
	lines            chan []byte
	waiting, dropped atomic.Int64
}

func detach(w io.Writer) *detached {
	d := &detached{lines: make(chan []byte, detachedLines)}
	go func() {
		for line := range d.lines {
			if n := d.dropped.Swap(0); n > 0 {
				fmt.Fprintf(w, `{"time":%q,"level":"WARN","msg":"the log was not read, and lines are missing","lines":%d}`+"\n", time.Now().Format(time.RFC3339Nano), n)
			}
			w.Write(line)
			d.waiting.Add(-1)
		}
	}()
	return d
}

// Write never waits and never fails.
func (d *detached) Write(line []byte) (int, error) {
	d.waiting.Add(1)
	select {
	case d.lines <- bytes.Clone(line):
	default:
		d.waiting.Add(-1)
		d.dropped.Add(1)
	}
	return len(line), nil
}

func (d *detached) flush() {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for giveUp := time.After(flushPatience); d.waiting.Load() > 0; {
		select {
		case <-tick.C:
		case <-giveUp:
			return
		}
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	nowhere, err := os.Stat(os.DevNull) // a character device, too
	return err != nil || !os.SameFile(info, nowhere)
}
