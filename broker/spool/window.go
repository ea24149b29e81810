package spool

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sine-relay/sine-relay/internal/logthrottle"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// windowFlush is how long a message waits to be written, and maxUnwritten how
	// many may. More are left out: those who store must not wait for the disk.
	windowFlush  = 10 * time.Millisecond
	maxUnwritten = 4096
	// windowExpire is between two looks for what is old enough.
	windowExpire = 200 * time.Millisecond
	// maxWindowWrite is how many bytes are written at once, unless one message has more.
	maxWindowWrite = 256 << 10
)

// Window keeps for a while what a receiver has acknowledged, so that it can be sent
// again where the receiver acknowledges before it syncs, and then loses power.
//
// It is a log of segments like the spool, in a directory of its own, but is appended to
// without a sync: what is written survives a crash of the process, and a loss of power
// here only by chance. A segment is deleted as a whole when its newest message is old
// enough, or when the log is too large: then the window is shorter. Time counts only as
// far as [Window.Confirm] says that the receiver still has what it acknowledged: one
// that is away may have lost it. What goes wrong with the files is logged, and never
// returned to those who store.
type Window struct {
	cfg      WindowConfig
	throttle *logthrottle.Throttle
	disk     disk
	held     dirLock
	wake     chan struct{} // something waits to be written
	stop     chan struct{}
	stopped  chan struct{}

	// messages and bytes are in the files; leftOut were not kept.
	messages, bytes, leftOut atomic.Int64

	mu        sync.Mutex // of what needs no file, and so waits for no disk
	queue     []kept
	servers   []string
	confirmed time.Time

	files    sync.Mutex // of all below, and of the files
	segments []*windowSegment
	active   *windowSegment // one of them, or nil
	number   uint64
	buffer   []byte // of what is written
}

// kept is a message, and when it was first acknowledged.
type kept struct {
	visit.Message
	at time.Time
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
// disk was full, too slow or failed.
type WindowStats struct{ Messages, Bytes, LeftOut int64 }

// Acknowledged is a message that a receiver has acknowledged, at first at a time.
type Acknowledged struct {
	Message visit.Message
	At      time.Time
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
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
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

// Add keeps a message that was acknowledged now. It does not wait for the disk.
func (w *Window) Add(m visit.Message) { w.AddAgain(Acknowledged{m, time.Now()}) }

// AddAgain keeps a message that was sent again. Its first time stays.
func (w *Window) AddAgain(a Acknowledged) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) >= maxUnwritten {
		w.leftOut.Add(1)
		return
	}
	if w.queue = append(w.queue, kept{a.Message, a.At}); len(w.queue) == 1 {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// Confirm says that the receiver had at a time all that it had acknowledged. Until
// then nothing is forgotten because of its age.
func (w *Window) Confirm(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at.After(w.confirmed) {
		w.confirmed = at
	}
}

// MaxAge is for how long a message is kept.
func (w *Window) MaxAge() time.Duration { return w.cfg.MaxAge }

// Take calls fn with the messages that were added before, oldest first, some thousand
// at a time, and forgets them when fn returns nil. It returns fn's error; those
// messages come again with the next call. Messages that cannot be read are passed over.
func (w *Window) Take(fn func([]Acknowledged) error) error {
	w.files.Lock()
	w.flush()
	w.active = nil
	taken := slices.Clone(w.segments)
	for _, g := range taken {
		g.taken = true // and so it does not go meanwhile
	}
	w.files.Unlock()
	for len(taken) > 0 {
		g := taken[0]
		if err := fn(w.read(g)); err != nil {
			w.files.Lock()
			defer w.files.Unlock()
			for _, g := range taken {
				g.taken = false
			}
			return err
		}
		w.files.Lock()
		w.flush() // what was sent again and is kept again
		w.forget(g)
		w.files.Unlock()
		taken = taken[1:]
	}
	return nil
}

// Stats returns the numbers of the window. It does not wait for the disk.
func (w *Window) Stats() WindowStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return WindowStats{w.messages.Load() + int64(len(w.queue)), w.bytes.Load(), w.leftOut.Load()}
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

// run writes what was added, some of it at once, and forgets what is old, until the
// window is closed.
func (w *Window) run() {
	defer close(w.stopped)
	expire, gather := time.NewTicker(windowExpire), time.NewTimer(windowFlush)
	defer expire.Stop()
	defer gather.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-w.wake:
			gather.Reset(windowFlush)
		case <-gather.C:
			w.files.Lock()
			w.flush()
			w.files.Unlock()
		case <-expire.C:
			w.files.Lock()
			w.expire()
			w.files.Unlock()
		}
	}
}

// waiting takes what waits to be written.
func (w *Window) waiting() []kept {
	w.mu.Lock()
	defer w.mu.Unlock()
	queue := w.queue
	w.queue = nil
	return queue
}

func (w *Window) confirmedAt() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.confirmed
}
