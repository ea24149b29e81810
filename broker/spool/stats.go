package spool

import (
	"math"
	"time"
)

// Stats are a spool's numbers at one moment.
type Stats struct {
	// Entries wait in the spool, under so many different Orders. Those that
	// are being committed are not among them.
	Entries, Orders int
	// Bytes of MaxBytes are used, those being committed included.
	Bytes, MaxBytes int64
	// Full is what fraction is used of MaxBytes, or of the disk where that holds
	// less.
	Full float64
	Disk Disk
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
	return len(s.index.records), float64(s.index.bytes+s.reserved) / float64(s.cfg.MaxBytes)
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
	disk := s.Disk()
	full := s.fullOn(disk)
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{
		Entries: len(s.index.records), Orders: len(s.index.lines),
		Bytes: s.index.bytes + s.reserved, MaxBytes: s.cfg.MaxBytes,
		Commits: s.commits, Full: full, Disk: disk,
	}
	for _, g := range s.segments {
		st.FileBytes += g.size
	}
	oldest, limit := int64(math.MaxInt64), time.Now().Add(-s.cfg.MaxAge).UnixNano()
	for _, r := range s.index.records {
		oldest = min(oldest, r.stored)
		if s.cfg.MaxAge > 0 && r.stored < limit {
			st.Expired++
		}
	}
	if st.Entries > 0 {
		st.Oldest = time.Unix(0, oldest)
	}
	return st
}
