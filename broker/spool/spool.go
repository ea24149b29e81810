// Package spool keeps messages that NATS cannot take right now on a local disk.
//
// It promises that what [Spool.Put] has taken is on the disk, survives a crash
// of the process and of the machine, comes back byte for byte, and leaves only
// by [Spool.Remove]; that messages of one order key are offered in the order in
// which they came; and that one process at a time has a spool open. A file that
// cannot be trusted is moved aside, never deleted, and what is still readable
// in it is carried over. One that is removed, renamed or replaced while it is
// open is noticed before the next acknowledgement: what waits is carried over to
// the file that is at the path from then on.
//
// It is the store only. When to put, to send and to give up is its user's to
// decide, and it knows neither NATS nor HTTP.
package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

var (
	// ErrInUse comes from opening a spool that somebody has open, in this
	// process or another.
	ErrInUse = errors.New("the spool is in use")
	// ErrFull comes from Put when the entry would not fit into MaxBytes.
	ErrFull = errors.New("the spool is full")
	// ErrClosed comes from every call after Close.
	ErrClosed = errors.New("the spool is closed")
	// ErrUnusable comes from Put while the files cannot be opened, or not be
	// verified to be those that are open. It wraps the reason; see [Spool.Fault].
	ErrUnusable = errors.New("the spool cannot be used")
	// ErrDamaged comes from OpenExisting when the file is damaged or is not a
	// spool, and from any other call when that shows later.
	ErrDamaged = errors.New("the spool is damaged")
)

// Config says where a spool is and how much it holds.
type Config struct {
	// Dir is created with mode 0700 where it is absent.
	Dir string
	// MaxBytes bounds the live entries as they are stored, and must be
	// positive. The file is larger, up to about twice, and does not shrink
	// while it is open.
	MaxBytes int64
	// MaxAge is the age beyond which entries count as expired in [Stats]; 0
	// means never. Age neither drops what is stored nor refuses what is new:
	// either would lose a visitor, and a single message that nobody takes
	// would close the spool for all others.
	MaxAge time.Duration
	Logger *slog.Logger

	gather time.Duration // gatherTime, but in tests
}

// Entry is a message that waits, and what is known about its waiting.
type Entry struct {
	Message visit.Message
	// Order is the key within which messages leave in the order in which
	// they came.
	Order string
	// Stored is when the entry was put. Put fills it in where it is zero.
	Stored time.Time
	// Attempts is how often sending was tried in vain; see [Spool.Failed].
	Attempts int
}

// Item is an entry in the spool. Sequences rise in the order of Put, and are
// not used again after a restart.
type Item struct {
	Sequence uint64
	Entry
}

// Spool is an open spool. It is safe for concurrent use.
type Spool struct {
	cfg   Config
	log   *slog.Logger
	ready func(Config) (*contents, *Damage, error) // see openFiles

	wake      chan struct{}
	stopped   chan struct{}
	touched   int64     // the committer's own, and so are the next five
	tried     time.Time // to open the files, in vain
	forgotten time.Time // when that was last tried
	looked    time.Time // at the disk
	lock      *dirLock
	reserve   *reserve // room for removals on a full disk
	// holdCommit is for tests: it is called before each commit, after the
	// operations in it were marked as started.
	holdCommit func()

	// db is changed by the committer alone. It is nil until the file could be opened.
	db atomic.Pointer[openDB]
	// broken is set once the file that is open cannot be trusted. Nobody may ask
	// bbolt anything then: after a panic it has locks that nobody gives free.
	broken atomic.Pointer[error]

	mu     sync.Mutex
	disk   Disk
	fault  error // why nothing is taken, or nil
	damage *Damage
	found  int // entries that were in a file when it was opened
	index  *index
	// unforgotten is what Remove could not remove from the file. It is not offered
	// any more, and removed once the disk lets it.
	unforgotten map[uint64]*record
	pending     map[lineKey]int // puts that are queued or being committed, by order
	reserved    int64           // bytes of those puts
	owned       ownedBytes      // those of entries and of those puts
	last        uint64          // the last sequence that was given out
	queue       []*operation
	closed      bool
	commits     uint64
	slowness    time.Duration // see Slowness
}

// Open opens the spool in cfg.Dir, and makes one where there is none. It
// returns [ErrInUse] when somebody has it open. A damaged or foreign file is
// moved aside and an ordinary spool is returned; see [Spool.Damaged]. Reading
// the file takes about a second for each gigabyte.
//
// A spool that is there, or may be, and cannot be opened now, is returned as
// well: it takes nothing, [Spool.Fault] says why, and it opens by itself once it
// can. Only where there never was one is that an error.
func Open(cfg Config) (*Spool, error) {
	if cfg.MaxBytes <= 0 {
		return nil, errors.New("open spool: MaxBytes must be positive")
	}
	s := newSpool(cfg, prepare)
	err := s.openFiles()
	if err != nil && (errors.Is(err, ErrInUse) || errors.Is(exists(cfg.Dir), fs.ErrNotExist)) {
		return nil, err
	}
	s.opening(err)
	s.lookAtDisk()
	go s.commitAll()
	return s, nil
}

// OpenExisting opens the spool in dir without a bound on its size, to look at
// it or to empty it. It returns [ErrInUse] when a relay has it open, an error
// that is fs.ErrNotExist when there is none, and [ErrDamaged] when the file
// cannot be trusted, which is then left as it is.
func OpenExisting(dir string, logger *slog.Logger) (*Spool, error) {
	if err := exists(dir); err != nil {
		return nil, fmt.Errorf("open spool %s: %w", dir, err)
	}
	s := newSpool(Config{Dir: dir, MaxBytes: math.MaxInt64, Logger: logger}, examine)
	if err := s.openFiles(); err != nil {
		return nil, err
	}
	go s.commitAll()
	return s, nil
}

func newSpool(cfg Config, ready func(Config) (*contents, *Damage, error)) *Spool {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.gather == 0 {
		cfg.gather = gatherTime
	}
	return &Spool{
		cfg: cfg, log: cfg.Logger, ready: ready, reserve: newReserve(cfg.Dir),
		wake: make(chan struct{}, 1), stopped: make(chan struct{}),
		index: newIndex(), unforgotten: make(map[uint64]*record), pending: make(map[lineKey]int), owned: make(ownedBytes),
	}
}

// Close commits what was put before it, waits for that, and gives the spool
// free for others. Calling it again does nothing.
func (s *Spool) Close() error {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	s.mu.Unlock()
	if was {
		<-s.stopped
		return nil
	}
	s.nudge()
	<-s.stopped
	return s.closeFiles()
}

// ended wraps the reason why a context ended.
func ended(operation string, ctx context.Context) error {
	return fmt.Errorf("%s: %w", operation, context.Cause(ctx))
}
