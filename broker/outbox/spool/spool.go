// Package spool keeps messages that NATS cannot take right now on a local disk.
//
// It promises that what [Spool.Put] has taken is on the disk, survives a crash
// of the process and of the machine, comes back byte for byte, and leaves only
// by [Spool.Remove]; that messages of one ordering key are offered in the order in
// which they came; and that one process at a time has a spool open. What is removed
// leaves the disk with the last entry of its segment, and that of the active segment
// once nothing has come for a second.
//
// It is a log of segments (package wal), which are appended to and synced for many
// entries at once, and a queue of what is in them (package queue), in memory. To open it
// is to read the segments. A segment that is damaged, or
// was removed, renamed or replaced while it was open, is recovered in one way: what
// waits in it and can be read is copied forward into a fresh segment and synced, and
// then the damaged file gets another name. It is never deleted. That the active
// segment is at its path is verified before each acknowledgement, and that the others
// are once a second.
//
// It is the store only. When to put, to send and to give up is its user's to
// decide, and it knows neither NATS nor HTTP.
package spool

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/disk"
	"github.com/sine-relay/sine-relay/broker/outbox/spool/queue"
	"github.com/sine-relay/sine-relay/broker/outbox/wal"
)

var (
	// ErrInUse comes from opening a spool that is open elsewhere, in this
	// process or another.
	ErrInUse = errors.New("the spool is in use")
	// ErrFull comes from Put when the entry would not fit into MaxBytes.
	ErrFull = errors.New("the spool is full")
	// ErrClosed comes from every call after Close.
	ErrClosed = errors.New("the spool is closed")
	// ErrUnusable comes from Put while the files cannot be opened, or not be
	// verified to be those that are open. It wraps the reason; see [Spool.Fault].
	ErrUnusable = errors.New("the spool cannot be used")
	// ErrDamaged comes from OpenExisting when a segment is damaged, and from any
	// other call when that shows later.
	ErrDamaged = errors.New("the spool is damaged")
	// ErrDiskFull comes from a put for which the disk has no room. It is an [ErrFull].
	ErrDiskFull = fmt.Errorf("%w: no space left on its disk", ErrFull)
)

// A spool of more than 1 GiB has larger segments, so that the process has a few hundred
// open at most.
const (
	segmentsOpen    = 128
	maxSegmentBytes = 64 << 20
)

// Config says where a spool is and how much it holds.
type Config struct {
	// Dir is created with mode 0700 where it is absent.
	Dir string
	// MaxBytes bounds the entries that wait, as they are stored, and must be
	// positive. The segments take up twice as much at most, and a few segments
	// more.
	MaxBytes int64
	// MaxAge is the age beyond which entries count as expired in [Stats]; 0
	// means never. Age neither drops what is stored nor refuses what is new:
	// either would lose a visitor, and a single message that no stream takes
	// would close the spool for all others.
	MaxAge time.Duration
	Logger *slog.Logger

	// In tests only:
	window  time.Duration // in place of batchWindow
	segment int64         // the size of a segment
	disk    disk.Disk     // in place of the directory
}

// Entry is a message that waits, and what is known about its waiting. [Spool.Put] fills
// in when it was stored, where that is zero, and [Spool.Failed] counts the attempts.
type Entry = wal.Entry

// Room is how the spool is filled at one moment; see [Spool.PutIf].
type Room = queue.Room

// Item is an entry in the spool. Sequences rise in the order of Put, and are
// not used again after a restart.
type Item struct {
	Sequence uint64
	Entry
}

// Spool is an open spool. It is safe for concurrent use.
type Spool struct {
	cfg      Config
	log      *slog.Logger
	disk     disk.Disk
	existing bool // see OpenExisting
	wake     chan struct{}
	stopped  chan struct{}
	// holdCommit is for tests: it is called before each commit, after the
	// operations in it were marked as started.
	holdCommit func()

	// These are the committer's own.
	held   disk.Lock
	opened bool
	wal    *wal.Log
	// unmarked is what Remove could not mark. It is not offered any more, and marked
	// once the disk lets it.
	unmarked map[uint64]*queue.Record
	tried    time.Time // to open the files, in vain
	verified time.Time // that all segments are in their place
	retried  time.Time // to mark what is unmarked
	measured time.Time // how much room the disk has

	mu       sync.Mutex
	live     map[*wal.Segment]int64 // bytes of the entries that wait in it
	space    Space
	fault    error // why nothing is taken, or nil
	damage   *Damage
	found    int // entries that were in files when they were opened
	queue    *queue.Queue
	last     uint64 // the last sequence that was given out
	waiting  []*operation
	closed   bool
	commits  uint64
	slowness time.Duration // see Slowness
}

// Open opens the spool in cfg.Dir, and makes one where there is none. It
// returns [ErrInUse] when another has it open. What waits in damaged files is
// recovered, and an ordinary spool is returned; see [Spool.Damaged]. Reading the
// segments takes some seconds for each gigabyte.
//
// A spool that is there, or may be, and cannot be opened now, is returned as
// well: it takes nothing, [Spool.Fault] says why, and it opens by itself once it
// can. Only where there never was one is that an error.
func Open(cfg Config) (*Spool, error) {
	if cfg.MaxBytes <= 0 {
		return nil, errors.New("open spool: MaxBytes must be positive")
	}
	s := newSpool(cfg)
	err := s.openFiles()
	if err != nil && (errors.Is(err, ErrInUse) || errors.Is(s.exists(), fs.ErrNotExist)) {
		return nil, err
	}
	s.opening(err)
	s.measureDisk()
	go s.commitAll()
	return s, nil
}

// OpenExisting opens the spool in dir without a bound on its size, to look at
// it or to empty it. It returns [ErrInUse] when a relay has it open, an error
// that is fs.ErrNotExist when there is none, and [ErrDamaged] when a segment
// is damaged; then all is left as it is.
func OpenExisting(dir string, logger *slog.Logger) (*Spool, error) {
	s := newSpool(Config{Dir: dir, MaxBytes: math.MaxInt64, Logger: logger})
	if err := s.exists(); err != nil {
		return nil, fmt.Errorf("open spool %s: %w", dir, err)
	}
	s.existing = true
	if err := s.openFiles(); err != nil {
		return nil, err
	}
	go s.commitAll()
	return s, nil
}

func newSpool(cfg Config) *Spool {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.disk == nil {
		cfg.disk = disk.In(cfg.Dir)
	}
	cfg.window = cmp.Or(cfg.window, batchWindow)
	cfg.segment = cmp.Or(cfg.segment, min(max(wal.Bytes, cfg.MaxBytes/segmentsOpen), maxSegmentBytes))
	s := &Spool{
		cfg: cfg, log: cfg.Logger, disk: cfg.disk, wake: make(chan struct{}, 1), stopped: make(chan struct{}),
		unmarked: make(map[uint64]*queue.Record), live: make(map[*wal.Segment]int64), queue: queue.New(cfg.MaxBytes),
	}
	s.wal = wal.NewLog(s.disk, cfg.segment, s.lastSequence)
	return s
}

func (s *Spool) lastSequence() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// exists returns an error that is fs.ErrNotExist where there never was a spool.
func (s *Spool) exists() error {
	names, err := s.disk.List()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(names, func(name string) bool { return wal.Number(name) > 0 }) {
		return &fs.PathError{Op: "open", Path: filepath.Join(s.cfg.Dir, "*"+wal.Suffix), Err: syscall.ENOENT}
	}
	return nil
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
	s.signal()
	<-s.stopped
	return s.closeFiles()
}
