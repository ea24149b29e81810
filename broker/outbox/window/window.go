// Package window keeps for a while what a receiver has acknowledged, so that it can be sent
// again where the receiver acknowledges before it syncs, and then loses power.
//
// It is a log of segments like the spool, in a directory of its own, but is appended to
// without a sync: what is written survives a crash of the process, and a loss of power
// here only by chance. A message keeps its place, also when it is sent again: the order of
// the log is that in which the receiver acknowledged the messages of a key first. A segment
// is deleted as a whole when its newest message is old enough, or when the log is too large:
// then the window is shorter. Time counts only as far as [Window.Confirm] says that the
// receiver still has what it acknowledged: one that is away may have lost it. The clock of
// the system may step meanwhile. What goes wrong with the files is logged, and never
// returned to those who store.
package window

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/disk"
	"github.com/sine-relay/sine-relay/broker/outbox/wal"
	"github.com/sine-relay/sine-relay/internal/logthrottle"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// flushAfter is how long a message waits to be written, maxUnwritten how many may,
	// and maxUnwrittenBytes how many bytes of them. More are left out: those who store
	// must not wait for the disk, and what waits for it must not fill the memory.
	flushAfter        = 10 * time.Millisecond
	maxUnwritten      = 4096
	maxUnwrittenBytes = 16 << 20
	// expireEvery is between two looks for what is old enough.
	expireEvery = 200 * time.Millisecond
	// reopenEvery is between two tries to open the window.
	reopenEvery = 5 * time.Second
	// maxWrite is how many bytes are written at once, unless one message has more.
	maxWrite = 256 << 10
)

// Window is a window of one receiver. It is safe for concurrent use.
type Window struct {
	cfg      Config
	throttle *logthrottle.Throttle
	disk     disk.Disk
	held     disk.Lock
	opened   atomic.Bool
	wake     chan struct{} // something waits to be written
	stop     chan struct{}
	stopped  chan struct{}
	began    time.Time

	// messages and bytes are in the files; leftOut were not kept.
	messages, bytes, leftOut atomic.Int64

	mu        sync.Mutex // of what needs no file, and so waits for no disk
	queue     []wal.Entry
	unwritten int // bytes in the queue
	servers   []string
	forgotten bool // ForgetServers came before the window was open
	confirmed time.Time

	files    sync.Mutex // of all below, and of the files
	segments []*segment
	active   *segment // one of them, or nil
	number   uint64
	buffer   []byte // of what is written
}

// Config says where a window is, for how long it keeps a message, and how many
// bytes it takes up at most.
type Config struct {
	Dir      string
	MaxAge   time.Duration
	MaxBytes int64
	Logger   *slog.Logger

	// In tests only:
	segment int64         // the size of a segment
	reopen  time.Duration // in place of reopenEvery
	stepped time.Duration // by the system's clock, since the window was opened
}

// Stats are the numbers of a window. LeftOut messages were not kept, because the
// disk was full, too slow or failed.
type Stats struct{ Messages, Bytes, LeftOut int64 }

// Open opens the window in cfg.Dir, with what an earlier process has left there,
// and makes one where there is none. It returns [disk.ErrInUse] when another has it open.
//
// One that cannot be opened now is returned as well: it keeps nothing, and opens by itself
// once it can. Until then what an earlier process has left is not known, and
// [Window.IsOpen] says so.
func Open(cfg Config) (*Window, error) {
	cfg.segment = cmp.Or(cfg.segment, min(wal.Bytes, max(cfg.MaxBytes/8, wal.MinBytes)))
	cfg.reopen = cmp.Or(cfg.reopen, reopenEvery)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Window{
		cfg: cfg, throttle: logthrottle.New(time.Minute), disk: disk.In(cfg.Dir),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}), began: time.Now(),
	}
	if err := w.open(); errors.Is(err, disk.ErrInUse) {
		return nil, fmt.Errorf("open window %s: %w", cfg.Dir, err)
	}
	go w.run()
	return w, nil
}

// IsOpen reports whether the window was opened; it stays so.
func (w *Window) IsOpen() bool { return w.opened.Load() }

// Add keeps a message that was acknowledged now. It does not wait for the disk.
func (w *Window) Add(m visit.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) >= maxUnwritten || w.unwritten+len(m.Data) > maxUnwrittenBytes {
		w.leftOut.Add(1)
		return
	}
	w.unwritten += len(m.Data)
	if w.queue = append(w.queue, wal.Entry{Message: m, Order: m.OrderingKey, Stored: w.now()}); len(w.queue) == 1 {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// now does not follow steps of the system's clock, which make no message older or younger.
func (w *Window) now() time.Time { return w.began.Add(time.Since(w.began) - w.cfg.stepped) }

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

// Stats returns the numbers of the window. It does not wait for the disk.
func (w *Window) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Stats{w.messages.Load() + int64(len(w.queue)), w.bytes.Load(), w.leftOut.Load()}
}

// Close writes what waits, and gives the directory free for others.
func (w *Window) Close() {
	close(w.stop)
	<-w.stopped
	w.files.Lock()
	defer w.files.Unlock()
	w.flush()
	w.closeFiles()
}

// run writes what was added, some of it at once, and forgets what is old, until the
// window is closed.
func (w *Window) run() {
	defer close(w.stopped)
	expire, gather, reopen := time.NewTicker(expireEvery), time.NewTimer(flushAfter), time.NewTicker(w.cfg.reopen)
	defer expire.Stop()
	defer reopen.Stop()
	defer gather.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-w.wake:
			gather.Reset(flushAfter)
		case <-gather.C:
			w.files.Lock()
			w.flush()
			w.files.Unlock()
		case <-reopen.C:
			w.openLater()
		case <-expire.C:
			w.files.Lock()
			w.expire()
			w.files.Unlock()
		}
	}
}

// openLater opens the window where that was in vain before.
func (w *Window) openLater() {
	w.files.Lock()
	defer w.files.Unlock()
	if !w.IsOpen() && w.open() == nil {
		w.cfg.Logger.Info("the window of acknowledged messages is open", "dir", w.cfg.Dir)
	}
}

// waiting takes what waits to be written.
func (w *Window) waiting() []wal.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	queue := w.queue
	w.queue, w.unwritten = nil, 0
	return queue
}

func (w *Window) confirmedAt() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.confirmed
}
