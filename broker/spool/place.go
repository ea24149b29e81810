package spool

import (
	"errors"
	"fmt"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// verifyEvery is between two looks at the files of an idle spool, and
	// reopenEvery between two tries to open them.
	verifyEvery = time.Second
	reopenEvery = 5 * time.Second
	// closeTimeout is how long bbolt may take to close a file. After a panic it
	// may wait for itself.
	closeTimeout = time.Second
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

// say keeps the fault, and logs it when it comes, changes and ends.
func (s *Spool) say(err error) {
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

// inPlace returns why the file that is open would not be found at the next start,
// or nil. Nobody else opens it meanwhile, be the directory's lock there or not:
// bbolt has it locked, too.
func (s *Spool) inPlace() error {
	db, err := s.trusted()
	if err != nil {
		return err
	}
	return db.inPlace()
}

// openDB is a file with its identity.
type openDB struct {
	*bolt.DB
	identity
}

// begins returns why a transaction must not begin, or nil. bbolt panics where it
// cannot read its meta pages, and leaves locked what everybody else needs then.
func (db *openDB) begins() error {
	metas, err := readMetas(db.file)
	var disk *os.PathError
	switch {
	case errors.Is(err, os.ErrClosed):
		return ErrClosed
	case errors.As(err, &disk): // what is in memory may be well
		return nil
	case len(metas) == 0:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	default:
		return nil
	}
}

// trusted returns what is open, or why it may not be used.
func (s *Spool) trusted() (*openDB, error) {
	if broken := s.broken.Load(); broken != nil {
		return nil, *broken
	}
	db := s.db.Load()
	if db == nil {
		return nil, fmt.Errorf("%w: its file is not open", ErrUnusable)
	}
	return db, nil
}

// distrust has a file opened anew after an error that says that it is damaged.
func (s *Spool) distrust(db *openDB, err error) {
	if errors.Is(err, ErrDamaged) && s.db.Load() == db && s.broken.CompareAndSwap(nil, &err) {
		s.log.Error("the spool's file is no longer usable", "err", err)
		s.nudge()
	}
}

// verify has the files in their place, or says why they are not.
func (s *Spool) verify() {
	err := s.inPlace()
	if err == nil && s.lock.inPlace() == nil {
		s.say(nil)
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
	s.say(err)
}

// lastTry saves what waits in files that are not in their place, before they are
// closed.
func (s *Spool) lastTry() {
	s.tried, s.forgotten = time.Time{}, time.Time{}
	s.verify()
	s.forget()
	if n, _ := s.Usage(); n > 0 && s.Fault() != nil {
		s.log.Error("spooled messages are in files that are no longer at their path: they may be lost", "dir", s.cfg.Dir, "messages", n)
	}
}

// openFiles opens what is at the path, under the lock of the directory, and has it
// hold what waits. On an error what was open stays so.
func (s *Spool) openFiles() error {
	held, err := s.claim()
	if err == nil && s.inPlace() != nil {
		err = s.openFile()
	}
	if err != nil {
		if held != nil && held != s.lock {
			held.release()
		}
		if s.inPlace() == nil {
			return nil // it is the lock only, which is tried again
		}
		return fmt.Errorf("open spool %s: %w", s.cfg.Dir, err)
	}
	if s.lock != nil && held != s.lock {
		s.lock.release()
	}
	s.lock = held
	s.reserve.hold()
	return nil
}

// claim returns the lock that is held, or another where its file is gone.
func (s *Spool) claim() (*dirLock, error) {
	if s.lock != nil && s.lock.inPlace() == nil {
		return s.lock, nil
	}
	return claim(s.cfg.Dir)
}

func (s *Spool) openFile() error {
	first := s.db.Load() == nil && s.broken.Load() == nil
	if s.broken.Load() != nil {
		s.use(nil) // or it would lock itself out
	}
	found, damage, err := s.ready(s.cfg)
	if err != nil {
		return err
	}
	db, opened, err := openFile(file(s.cfg.Dir))
	if err != nil {
		return err
	}
	added, lost, err := s.merge(db, found)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	s.use(&openDB{db, opened})
	s.account(added, lost, damage)
	if !first {
		n, _ := s.Usage()
		s.log.Error("the spool's file was removed, replaced or damaged while it was open, and is reopened",
			"dir", s.cfg.Dir, "waiting", n, "found", len(added), "lost", len(lost))
	}
	return nil
}

// use puts a file in the place of the one that is open, which it closes.
func (s *Spool) use(db *openDB) {
	old := s.db.Swap(db)
	if db != nil {
		s.broken.Store(nil)
	}
	if err := closeDB(old); err != nil {
		s.log.Warn("close the spool's old file", "err", err)
	}
}

// closeDB closes a file once nobody reads it any more. Where bbolt waits for a lock
// that a panic has left, the file stays open and nobody is kept out of it.
func closeDB(db *openDB) error {
	if db == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- guarded(db.Close) }()
	select {
	case err := <-done:
		return err
	case <-time.After(closeTimeout):
		db.unlock()
		return errors.New("it does not close")
	}
}

func (s *Spool) closeFiles() error {
	err := errors.Join(s.unforgottenFault(), closeDB(s.db.Load()))
	if s.lock != nil {
		s.lock.release()
	}
	if err != nil {
		return fmt.Errorf("close spool %s: %w", s.cfg.Dir, err)
	}
	return nil
}

// view reads the file that is open. It begins anew where another is opened
// meanwhile.
func (s *Spool) view(read func(*bolt.Tx) error) error {
	for {
		db, err := s.trusted()
		if err != nil {
			return err
		}
		if err = db.begins(); err == nil {
			err = guarded(func() error { return db.View(read) })
		}
		if errors.Is(err, ErrClosed) && s.db.Load() != db {
			continue
		}
		s.distrust(db, err)
		return err
	}
}
