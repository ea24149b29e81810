package spool

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// batchBytes ends a batch, so that one commit stays short and its pages fit
// into memory.
const batchBytes = 8 << 20

// mappedBytes of messages are put before what was read of the file beside them is
// given up again.
const mappedBytes = 4 << 20

const (
	// gatherTime is between the beginnings of two commits, unless company
	// operations wait: a commit costs the processor and the disk the same for
	// one as for many, and both are needed elsewhere.
	gatherTime = 10 * time.Millisecond
	company    = 16
)

// commitAll commits what is queued until the spool is closed and the queue is
// empty. Whatever arrives during a commit goes into the next one together. What
// comes to an idle spool is committed at once. The files are verified before each
// batch is taken, so that one who waits for them can still give up.
func (s *Spool) commitAll() {
	defer close(s.stopped)
	idle := time.NewTicker(verifyEvery)
	defer idle.Stop()
	var last time.Time
	for {
		s.gather(last)
		s.verify()
		s.forget()
		s.lookAtDisk()
		batch, closed := s.take()
		if len(batch) > 0 {
			last = time.Now()
			s.commit(batch)
			continue
		}
		if closed {
			s.lastTry()
			return
		}
		select {
		case <-s.wake:
			s.nudge() // for gather, which looks again
		case <-idle.C:
		}
	}
}

// gather waits until there is company, or enough time since the last commit.
func (s *Spool) gather(last time.Time) {
	enough := time.NewTimer(time.Until(last.Add(s.cfg.gather)))
	defer enough.Stop()
	for !s.crowded() {
		select {
		case <-s.wake:
		case <-enough.C:
			return
		}
	}
}

// crowded reports whether a commit need not wait any longer.
func (s *Spool) crowded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed || len(s.queue) >= company
}

// take marks the next operations as started and returns them.
func (s *Spool) take() (batch []*operation, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bytes, n := 0, 0
	for ; n < len(s.queue) && bytes < batchBytes; n++ {
		o := s.queue[n]
		if o.withdrawn {
			continue
		}
		o.started = true
		bytes += len(o.value)
		batch = append(batch, o)
	}
	s.queue = slices.Delete(s.queue, 0, n)
	return batch, s.closed
}

func (s *Spool) commit(batch []*operation) {
	if s.holdCommit != nil {
		s.holdCommit()
	}
	for _, o := range batch {
		if o.add != nil {
			seal(o.add.sequence, o.value)
		}
	}
	puts, others := split(batch)
	if err := s.refusal(); len(puts) > 0 && err != nil {
		s.settle(puts, err)
		batch, puts = others, nil
	}
	if len(batch) == 0 {
		return
	}
	err := s.write(batch)
	if err == nil || len(others) == 0 {
		s.settle(others, err)
		s.acknowledge(puts, err)
		return
	}
	// What is to be added must not keep back what is to be removed, which makes
	// room.
	if len(puts) > 0 {
		err = s.write(others)
	}
	if noRoom(err) {
		err = s.makeRoom(others)
	}
	s.settle(others, err)
	if err = s.refusal(); err == nil { // or the removals needed the reserve
		err = s.write(puts)
	}
	s.acknowledge(puts, err)
}

// acknowledge settles puts, unless the file was removed or replaced meanwhile:
// nobody would find them. They are committed again, to the file that is opened
// next.
func (s *Spool) acknowledge(puts []*operation, err error) {
	if noRoom(err) {
		err = fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	if err != nil || len(puts) == 0 || s.inPlace() == nil {
		s.settle(puts, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range puts {
		o.started = false
	}
	s.queue = slices.Concat(puts, s.queue)
	s.nudge()
}

// refusal is why nothing can be put, or nil.
func (s *Spool) refusal() error {
	if fault := s.Fault(); fault != nil {
		return fault
	}
	if !s.reserve.hold() {
		return ErrDiskFull
	}
	return nil
}

// split parts what needs room from what does not.
func split(batch []*operation) (puts, others []*operation) {
	for _, o := range batch {
		if o.add != nil || o.probe {
			puts = append(puts, o)
		} else {
			others = append(others, o)
		}
	}
	return puts, others
}

// write makes all changes in one transaction. After a panic the database is not
// written again: what bbolt holds in memory is in doubt.
func (s *Spool) write(batch []*operation) error {
	if len(batch) == 0 {
		return nil
	}
	db, err := s.trusted()
	if err != nil {
		return err
	}
	var mapped int64
	began := time.Now()
	defer func() { s.took(time.Since(began)) }()
	err = guarded(func() error {
		if err := db.begins(); err != nil {
			return err
		}
		tx, err := db.Begin(true)
		if err != nil {
			return err
		}
		// All pages that there are by now are mapped. The file may be longer
		// than what is.
		mapped = tx.Size()
		// Not db.Update: after a panic it would read the whole file, in a
		// goroutine whose faults nobody can catch.
		defer tx.Rollback()
		// Entries come in the order of their keys, so no later one needs
		// room in a page before the last.
		tx.Bucket(bucketEntries).FillPercent = 1
		for _, o := range batch {
			if err := o.apply(tx); err != nil {
				return err
			}
		}
		return tx.Commit()
	})
	for _, o := range batch {
		s.touched += int64(len(o.value))
	}
	if s.touched >= mappedBytes {
		s.touched = 0
		// Info, which it asks, panics where the file could not be mapped anew.
		_ = guarded(func() error { dropMapped(db.DB, mapped); return nil })
	}
	s.distrust(db, err)
	return err
}

// settle brings the index up to date and wakes those who wait.
func (s *Spool) settle(batch []*operation, err error) {
	if len(batch) == 0 {
		return
	}
	is := func(uint64) bool { return false }
	if err != nil {
		is = s.stored(batch)
	}
	s.mu.Lock()
	for _, o := range batch {
		s.release(o)
		o.err = err
		if o.add != nil && (err == nil || is(o.add.sequence)) {
			s.index.add(o.add)
			s.owned.add(o.add)
		}
		for _, sequence := range o.remove {
			if r := s.index.records[sequence]; r != nil {
				s.index.remove(sequence)
				s.owned.remove(r)
				if is(sequence) {
					s.unforgotten[sequence] = r
				}
			}
		}
	}
	s.mu.Unlock()
	for _, o := range batch {
		close(o.done)
	}
}

// stored tells which of the entries of a failed commit the file holds. When
// the very last sync fails, bbolt goes on from the new state although nobody
// knows whether it is on the disk: the index must say what the file says.
func (s *Spool) stored(batch []*operation) func(sequence uint64) bool {
	there := make(map[uint64]bool)
	err := s.view(func(tx *bolt.Tx) error {
		entries := tx.Bucket(bucketEntries)
		for _, o := range batch {
			if o.add != nil {
				there[o.add.sequence] = entries.Get(key(o.add.sequence)) != nil
			}
			for _, sequence := range o.remove {
				there[sequence] = entries.Get(key(sequence)) != nil
			}
		}
		return nil
	})
	if err != nil {
		// Nothing is known, so nothing was added and nothing was removed.
		s.log.Error("spool cannot be read after a failed commit", "err", err)
		for _, o := range batch {
			for _, sequence := range o.remove {
				there[sequence] = true
			}
			if o.add != nil {
				there[o.add.sequence] = false
			}
		}
	}
	return func(sequence uint64) bool { return there[sequence] }
}

// guarded runs an operation on the database. bbolt panics on a damaged page,
// and a file that was cut while it is mapped is a memory fault, which would end
// the process: both become errors.
func guarded(operation func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	err = operation()
	switch {
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return ErrClosed
	case errors.Is(err, bolterrors.ErrInvalidMapping): // and is for ever
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	default:
		return err
	}
}
