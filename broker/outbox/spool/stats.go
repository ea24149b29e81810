package spool

import (
	"math"
	"os"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/disk"
	"github.com/sine-relay/sine-relay/broker/outbox/wal"
	"github.com/sine-relay/sine-relay/visit"
)

// Stats are a spool's numbers at one moment.
type Stats struct {
	// Entries wait in the spool. Those that are being committed are not among them.
	Entries int
	// Bytes of MaxBytes are used, those being committed included.
	Bytes, MaxBytes int64
	// Full is what fraction is used of MaxBytes, or of the disk where that holds
	// less.
	Full float64
	Disk Space
	// Oldest is when the oldest entry was stored; zero when there is none.
	Oldest time.Time
	// Expired entries are older than MaxAge. They are kept.
	Expired int
	// FileBytes is the size of the segments, which take up their room from the start.
	FileBytes int64
	// Commits were tried since the spool was opened.
	Commits uint64
}

// Usage returns how many entries wait and what fraction of MaxBytes they use, at
// no cost.
func (s *Spool) Usage() (entries int, used float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.Len(), float64(s.queue.Bytes()) / float64(s.cfg.MaxBytes)
}

// Slowness is how long the slowest of the recent commits took. A put may have to
// wait for the one before it and for its own.
func (s *Spool) Slowness() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slowness
}

// took counts a commit and notes how long it took; each later one makes it matter less.
func (s *Spool) took(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits++
	s.slowness = max(d, s.slowness*15/16)
}

// Stats returns the spool's numbers. It looks at each entry in memory: some
// milliseconds for 100,000.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{
		Entries: s.queue.Len(),
		Bytes:   s.queue.Bytes(), MaxBytes: s.cfg.MaxBytes, FileBytes: s.wal.Bytes(),
		Commits: s.commits, Full: s.full(), Disk: s.space,
	}
	oldest, limit := int64(math.MaxInt64), time.Now().Add(-s.cfg.MaxAge).UnixNano()
	for _, r := range s.queue.Records() {
		oldest = min(oldest, r.Stored)
		if s.cfg.MaxAge > 0 && r.Stored < limit {
			st.Expired++
		}
	}
	if st.Entries > 0 {
		st.Oldest = time.Unix(0, oldest)
	}
	return st
}

// Room is how the spool is filled for an entry of that size.
func (s *Spool) Room(root visit.Root, integration string, size int64) Room {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.Room(root, integration, size)
}

// Entries is how many messages of a root wait.
func (s *Spool) Entries(root visit.Root) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.Entries(root)
}

// Roots are those of which there may be messages.
func (s *Spool) Roots() []visit.Root {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.Roots()
}

// Found is how many entries earlier processes have left.
func (s *Spool) Found() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found
}

// Space is the room on the disk of a spool. All is zero where the system does not
// tell.
type Space struct {
	// Free bytes may still be written to it, of Size altogether.
	Free, Size int64
	// Left is what the spool may still take up: Free, and what is free within its
	// segments.
	Left int64
}

// SpaceOf looks at the disk of a directory in which there is a spool, or will be.
// What the segments take up counts as free.
func SpaceOf(dir string) (Space, error) {
	free, size, err := disk.Space(dir)
	if err != nil {
		return Space{}, err
	}
	d := Space{Free: free, Size: size, Left: free}
	entries, _ := os.ReadDir(dir) // where there is none, nothing is taken up
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), wal.Suffix) {
			d.Left += info.Size()
		}
	}
	return d, nil
}

// Space is the room on the spool's disk, as it was a second ago at most: who asks
// must not wait for a disk that does not answer.
func (s *Spool) Space() Space {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.space
}

// measureDisk is the committer's.
func (s *Spool) measureDisk() {
	if time.Since(s.measured) < verifyEvery/4 {
		return
	}
	s.measured = time.Now()
	free, size, err := s.disk.Space()
	d := Space{Free: free, Size: size, Left: free}
	if err != nil {
		d = Space{}
	} else if g := s.wal.Active(); g != nil {
		d.Left += g.Free()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.space = d
}

// Full is what fraction of what the spool may hold, and its disk can, is used.
func (s *Spool) Full() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full()
}

// full is called with the lock held.
func (s *Spool) full() float64 {
	limit, left := s.cfg.MaxBytes, s.cfg.MaxBytes-s.queue.Bytes()
	if s.space.Size > 0 {
		limit, left = min(limit, s.space.Size), min(left, s.space.Left)
	}
	return 1 - float64(max(left, 0))/float64(limit)
}
