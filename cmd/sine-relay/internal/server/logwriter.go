package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const (
	// collectTime is between two writes. A line that comes after a longer pause is
	// written at once.
	collectTime = 5 * time.Millisecond
	// maxDetached is how many bytes of lines may wait to be written.
	maxDetached = 2 << 20
	// keptBuffer is the largest buffer that is used again.
	keptBuffer = 64 << 10
	// flushTimeout is how long the end waits for a log that is not read.
	flushTimeout = time.Second
)

// detached writes lines in a goroutine of its own, those of a pause together. A log that
// nobody reads, a full pipe or a disk that hangs, would otherwise hold up every visitor
// before the answer. When too much waits, further lines are dropped, as are those that
// cannot be written: a pipe without a reader, a disk that is full. Their number is
// written once there is room again.
type detached struct {
	w io.Writer
	// notice makes the line that says how many are missing.
	notice func(io.Writer) slog.Handler
	pause  time.Duration // after each write
	ready  chan struct{} // there are lines
	urgent chan struct{} // they must not wait

	mu      sync.Mutex
	lines   []byte // that wait
	dropped int64  // behind these
	writing bool

	// What follows is of the goroutine that writes.
	taken []byte // what it writes; the buffer is used again
	lost  int64
	// torn is set while a line that was written in part ends what is there.
	torn bool
}

// linesLost counts for this process, whose standard output is one.
var linesLost atomic.Int64

func registerLog(reg prometheus.Registerer) {
	promauto.With(reg).NewCounterFunc(prometheus.CounterOpts{
		Name: "sine_relay_log_lines_lost_total", Help: "Lines of the log that were not written: nobody read it, its pipe was broken or its disk was full.",
	}, func() float64 { return float64(linesLost.Load()) })
}

func detach(w io.Writer, notice func(io.Writer) slog.Handler, pause time.Duration) *detached {
	d := &detached{w: w, notice: notice, pause: pause, ready: make(chan struct{}, 1), urgent: make(chan struct{}, 1)}
	go func() {
		for range d.ready {
			d.put(d.take())
			d.rest()
		}
	}()
	return d
}

// Write never waits and never fails.
func (d *detached) Write(line []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := len(d.lines) == 0
	if !first && len(d.lines)+len(line) > maxDetached {
		d.dropped++
		linesLost.Add(1)
		return len(line), nil
	}
	d.lines = append(d.lines, line...)
	if first {
		signalTo(d.ready)
	}
	return len(line), nil
}

// hurry has what waits written without delay.
func (d *detached) hurry() { signalTo(d.urgent) }

func signalTo(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it has been signalled
	}
}

// take takes the lines that wait, and returns how many were dropped behind them.
func (d *detached) take() (dropped int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if cap(d.taken) > keptBuffer {
		d.taken = nil
	}
	d.taken, d.lines = d.lines, d.taken[:0]
	dropped, d.dropped = d.dropped, 0
	d.writing = true
	return dropped
}

// put writes what was taken, between the numbers of lines that are missing before and
// behind it.
func (d *detached) put(dropped int64) {
	d.admit()
	lost := d.write(d.taken)
	linesLost.Add(lost)
	d.lost += lost + dropped
	if lost == 0 {
		d.admit()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writing = false
}

// admit writes how many lines are missing, if any are.
func (d *detached) admit() {
	if d.lost > 0 && d.write(d.missing()) == 0 {
		d.lost = 0
	}
}

// missing is the line that says so.
func (d *detached) missing() []byte {
	var line bytes.Buffer
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "the log could not be written, and lines are missing", 0)
	r.AddAttrs(slog.Int64("lines", d.lost))
	_ = d.notice(&line).Handle(context.Background(), r) // a buffer takes everything
	return line.Bytes()
}

var lineEnd = []byte("\n")

// write returns how many lines were not written completely. One that was cut ends
// before the next.
func (d *detached) write(lines []byte) (lost int64) {
	if d.torn {
		n, _ := d.w.Write(lineEnd)
		d.torn = n == 0
	}
	if d.torn {
		return int64(bytes.Count(lines, lineEnd))
	}
	n, err := d.w.Write(lines)
	if err == nil {
		return 0
	}
	d.torn = n > 0 && lines[n-1] != '\n'
	return int64(bytes.Count(lines[n:], lineEnd))
}

// rest waits for more lines.
func (d *detached) rest() {
	over := time.NewTimer(d.pause)
	defer over.Stop()
	select {
	case <-over.C:
	case <-d.urgent:
	}
}

// flush waits until nothing waits, but not for long.
func (d *detached) flush() {
	d.hurry()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for giveUp := time.After(flushTimeout); d.waits(); {
		select {
		case <-tick.C:
		case <-giveUp:
			return
		}
	}
}

func (d *detached) waits() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writing || len(d.lines) > 0
}
