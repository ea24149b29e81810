package spool

import (
	"errors"
	"fmt"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/disk"
)

const (
	// verifyEvery is between two looks at all segments, and reopenEvery between two
	// tries to open them.
	verifyEvery = time.Second
	reopenEvery = 5 * time.Second
)

// Fault is why the spool takes nothing now, or nil. It wraps [ErrUnusable].
func (s *Spool) Fault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// unusable is an [ErrUnusable] that its reason names.
type unusable struct{ error }

func (u *unusable) Unwrap() []error { return []error{ErrUnusable, u.error} }

// setFault keeps the fault, and logs it when it comes, changes and ends.
func (s *Spool) setFault(err error) {
	s.mu.Lock()
	was := s.fault
	s.fault = nil
	if err != nil {
		s.fault = &unusable{err}
	}
	now := s.fault
	s.mu.Unlock()
	switch {
	case now != nil && (was == nil || was.Error() != now.Error()):
		s.log.Error("the spool is unusable: it accepts no messages", "err", err)
	case now == nil && was != nil:
		s.log.Info("the spool is usable again", "dir", s.cfg.Dir)
	}
}

// inPlace returns why what is open would not be found at the next start, or nil. It
// looks at the active segment each time, and at the others once a second.
func (s *Spool) inPlace() error {
	if !s.opened {
		return fmt.Errorf("%w: it is not open", ErrUnusable)
	}
	all := time.Since(s.verified) >= verifyEvery
	for _, g := range s.wal.Segments() {
		if all || g == s.wal.Active() || g.IsSuspect() {
			if err := g.Check(s.disk); err != nil {
				return err
			}
		}
	}
	if all {
		s.verified = time.Now()
	}
	return nil
}

// verify has the segments in their place, or says why they are not.
func (s *Spool) verify() {
	if s.inPlace() == nil && s.held.InPlace() == nil {
		s.setFault(nil)
		return
	}
	// What is not cheap is not tried each time.
	if s.tried.IsZero() || time.Since(s.tried) >= reopenEvery {
		s.opening(s.openFiles())
	}
}

// opening takes what became of opening the files.
func (s *Spool) opening(err error) {
	s.tried = time.Time{}
	if err != nil && !errors.Is(err, ErrInUse) {
		s.tried = time.Now()
	}
	s.setFault(err)
}

// openFiles opens what is at the path, under the lock of the directory, and has it
// hold what waits. On an error what was open stays so.
func (s *Spool) openFiles() error {
	held, err := s.acquire()
	if err == nil && s.inPlace() != nil {
		err = s.recover()
	}
	if err != nil {
		if held != nil && held != s.held {
			held.Release()
		}
		if s.inPlace() == nil {
			return nil // it is the lock only, which is tried again
		}
		if errors.Is(err, disk.ErrInUse) {
			err = ErrInUse
		}
		return fmt.Errorf("open spool %s: %w", s.cfg.Dir, err)
	}
	if s.held != nil && held != s.held {
		s.held.Release()
	}
	s.held = held
	return nil
}

// acquire returns the lock that is held, or another where its file is gone.
func (s *Spool) acquire() (disk.Lock, error) {
	if s.held != nil && s.held.InPlace() == nil {
		return s.held, nil
	}
	return s.disk.Lock()
}

// lastTry saves what waits in files that are not in their place, before they are
// closed.
func (s *Spool) lastTry() {
	s.tried, s.retried = time.Time{}, time.Time{}
	s.verify()
	s.retryRemovals()
	s.renew()
	if n, _ := s.Usage(); n > 0 && s.Fault() != nil {
		s.log.Error("spooled messages are in files that are no longer at their path: they may be lost", "dir", s.cfg.Dir, "messages", n)
	}
}

func (s *Spool) closeFiles() error {
	var err error
	if n := len(s.unmarked); n > 0 {
		err = fmt.Errorf("%d entries that were removed are still in the files", n)
	}
	err = errors.Join(err, s.wal.Close())
	if s.held != nil {
		s.held.Release()
	}
	if err != nil {
		return fmt.Errorf("close spool %s: %w", s.cfg.Dir, err)
	}
	return nil
}

// tryDisk returns why the disk would not take so many bytes, or nil.
func (s *Spool) tryDisk(bytes int64) error {
	if fault := s.Fault(); fault != nil {
		return fault
	}
	if err := s.wal.MakeRoom(bytes); err != nil {
		return err
	}
	return s.wal.Active().Probe()
}

func diskFull(err error) error {
	if disk.IsFull(err) {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}
