package spool

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/internal/logthrottle"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// windowFlush is how long a message waits to be written, and maxUnwritten how
	// many may. More are left out: those who store must not wait for the disk.
	windowFlush  = 50 * time.Millisecond
	maxUnwritten = 4096
	// maxWindowWrite is how many bytes are written at once, unless one message has more.
	maxWindowWrite = 256 << 10
)

// Window keeps for a while what a receiver has acknowledged, so that it can be sent
// again where the receiver acknowledges before it syncs, and then loses power.
//
// It is a log of segments like the spool, in a directory of its own, but is appended to
// without a sync: what is written survives a crash of the process, and a loss of power
// here only by chance. A segment is deleted as a whole when its newest message is old
// enough, or when the log is too large: then the window is shorter. What goes wrong
// with its files is logged, and never returned to those who store.
type Window struct {
	cfg      WindowConfig
	throttle *logthrottle.Throttle
	disk     disk
	held     dirLock
	stop     chan struct{}
	stopped  chan struct{}

	mu      sync.Mutex // of what waits to be written
	queue   []visit.Message
	leftOut uint64

	files    sync.Mutex // of all below, and of the files
	segments []*windowSegment
	active   *windowSegment // one of them, or nil
	number   uint64
	buffer   []byte // of what is written
	servers  []string
}

// WindowConfig says where a window is, for how long it keeps a message, and how many
// bytes it takes up at most.
type WindowConfig struct {
	Dir      string
	MaxAge   time.Duration
	MaxBytes int64
	Logger   *slog.Logger

	segment int64 // in tests: the size of a segment
}

// WindowStats are the numbers of a window. LeftOut messages were not kept, because the
// disk was too slow or failed.
type WindowStats struct {
	Messages int
	Bytes    int64
	// Oldest is when the oldest message was added, or zero.
	Oldest  time.Time
	LeftOut uint64
}

// OpenWindow opens the window in cfg.Dir, with what an earlier process has left there,
// and makes one where there is none. It returns [ErrInUse] when another has it open.
func OpenWindow(cfg WindowConfig) (*Window, error) {
	cfg.segment = cmp.Or(cfg.segment, min(segmentBytes, max(cfg.MaxBytes/8, minSegmentBytes)))
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Window{
		cfg: cfg, throttle: logthrottle.New(time.Minute), disk: osDisk{cfg.Dir},
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	held, err := w.disk.lock()
	if err == nil {
		w.held = held
		if err = w.load(); err != nil {
			held.release()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open window %s: %w", cfg.Dir, err)
	}
	go w.run()
	return w, nil
}

// Add keeps a message. It does not wait for the disk.
func (w *Window) Add(m visit.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) >= maxUnwritten {
		w.leftOut++
		return
	}
	w.queue = append(w.queue, m)
}

// Take calls fn with the messages that were added before, oldest first, some thousand
// at a time, and forgets them when fn returns nil. It returns fn's error; those
// messages come again with the next call. Messages that cannot be read are passed over.
func (w *Window) Take(fn func([]visit.Message) error) error {
	w.files.Lock()
	w.flush()
	w.active = nil
	taken := slices.Clone(w.segments)
	w.files.Unlock()
	for _, g := range taken {
		if err := fn(g.read()); err != nil {
			return err
		}
		w.files.Lock()
		w.forget(g)
		w.files.Unlock()
	}
	return nil
}

// Stats returns the numbers of the window.
func (w *Window) Stats() WindowStats {
	w.mu.Lock()
	s := WindowStats{Messages: len(w.queue), LeftOut: w.leftOut}
	w.mu.Unlock()
	w.files.Lock()
	defer w.files.Unlock()
	for _, g := range w.segments {
		s.Messages += g.messages
		s.Bytes += g.size
		if s.Oldest.IsZero() || g.oldest.Before(s.Oldest) {
			s.Oldest = g.oldest
		}
	}
	return s
}

// Close writes what waits, and gives the directory free for others.
func (w *Window) Close() {
	close(w.stop)
	<-w.stopped
	w.files.Lock()
	defer w.files.Unlock()
	w.flush()
	for _, g := range w.segments {
		g.file.Close()
	}
	w.held.release()
}

// run writes what was added, and forgets what is old, until the window is closed.
func (w *Window) run() {
	defer close(w.stopped)
	tick := time.NewTicker(windowFlush)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-tick.C:
			w.files.Lock()
			w.flush()
			w.expire()
			w.files.Unlock()
		}
	}
}

// waiting takes what waits to be written.
func (w *Window) waiting() []visit.Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	queue := w.queue
	w.queue = nil
	return queue
}
