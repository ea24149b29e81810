package spool

import (
	"fmt"
	"slices"
	"time"
)

// batchBytes ends a batch, so that one commit stays short.
const batchBytes = 4 << 20

const (
	// batchWindow is between the beginnings of two commits, unless batchReady
	// operations wait: a commit costs the processor and the disk the same for
	// one as for many, and both are needed elsewhere.
	batchWindow = 10 * time.Millisecond
	batchReady  = 16
)

// commitAll commits what is queued until the spool is closed and the queue is
// empty. Whatever arrives during a commit goes into the next one together. What
// comes to an idle spool is committed at once.
func (s *Spool) commitAll() {
	defer close(s.stopped)
	idle := time.NewTicker(verifyEvery)
	defer idle.Stop()
	var last time.Time
	for {
		s.gather(last)
		began := time.Now()
		n, closed := s.commitNext()
		switch {
		case n > 0:
			last = began
			continue
		case closed:
			s.lastTry()
			return
		}
		select {
		case <-s.wake:
			s.signal() // for gather, which looks again
		case <-idle.C:
			if time.Since(last) >= verifyEvery {
				s.renew()
			}
		}
	}
}

// commitNext commits the next batch, and returns how many operations it had. The
// files are verified before it is taken, so that one who waits for them can still
// give up.
func (s *Spool) commitNext() (n int, closed bool) {
	s.verify()
	s.retryRemovals()
	s.measureDisk()
	batch, closed := s.take()
	if len(batch) > 0 {
		s.commit(batch)
	}
	return len(batch), closed
}

// gather waits until a batch is ready, or enough time has passed since the last one.
func (s *Spool) gather(last time.Time) {
	enough := time.NewTimer(time.Until(last.Add(s.cfg.window)))
	defer enough.Stop()
	for !s.ready() {
		select {
		case <-s.wake:
		case <-enough.C:
			return
		}
	}
}

// ready reports whether a commit need not wait any longer.
func (s *Spool) ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed || len(s.queue) >= batchReady
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
		if o.frame != nil {
			bytes += len(o.frame.value)
		}
		batch = append(batch, o)
	}
	s.queue = slices.Delete(s.queue, 0, n)
	return batch, s.closed
}

// commit removes and counts first: that needs no room, and makes some.
func (s *Spool) commit(batch []*operation) {
	if s.holdCommit != nil {
		s.holdCommit()
	}
	var puts, probes, others []*operation
	for _, o := range batch {
		switch {
		case o.add != nil:
			puts = append(puts, o)
		case o.probe > 0:
			probes = append(probes, o)
		default:
			others = append(others, o)
		}
	}
	s.commitMarks(others)
	s.commitPuts(puts)
	for _, o := range probes {
		s.settle([]*operation{o}, diskFull(s.tryDisk(o.probe)))
	}
	s.compact()
}

// commitMarks writes down what was sent and tried.
func (s *Spool) commitMarks(batch []*operation) {
	if len(batch) == 0 {
		return
	}
	began := time.Now()
	err := writeMarks(s.marks(batch))
	s.took(time.Since(began))
	s.settle(batch, err)
	s.sweep()
}

// marks are the states that operations change. Entries that are not there are passed
// over.
func (s *Spool) marks(batch []*operation) (marks []mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range batch {
		if r := o.count; r != nil && s.index.records[r.sequence] == r {
			marks = append(marks, mark{r.place, r.sequence, stateWaiting, o.attempts})
		}
	}
	for _, o := range batch { // last, or an attempt would have it wait again
		for _, sequence := range o.remove {
			if r := s.index.records[sequence]; r != nil {
				marks = append(marks, mark{r.place, sequence, stateSent, 0})
			}
		}
	}
	return marks
}

// commitPuts appends entries. One for which there is no room keeps back no other.
func (s *Spool) commitPuts(puts []*operation) {
	for len(puts) > 0 {
		if fault := s.Fault(); fault != nil {
			s.settle(puts, fault)
			return
		}
		frames := make([]*frame, len(puts))
		for i, o := range puts {
			frames[i] = o.frame
		}
		began := time.Now()
		n, err := s.append(frames)
		if err != nil && !noRoom(err) {
			n = len(puts)
		}
		s.took(time.Since(began)) // or one who was answered would not know yet
		if err == nil && s.active.check(s.disk) != nil {
			s.requeue(puts)
			return
		}
		s.settle(puts[:n], diskFull(err))
		puts = puts[n:]
	}
}

// requeue has puts committed again, to the segment that is opened next: their file
// was removed or replaced meanwhile, and would not be found.
func (s *Spool) requeue(puts []*operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range puts {
		o.started = false
	}
	s.queue = slices.Concat(puts, s.queue)
	s.signal()
}

// tryDisk returns why the disk would not take so many bytes, or nil.
func (s *Spool) tryDisk(bytes int64) error {
	if fault := s.Fault(); fault != nil {
		return fault
	}
	if err := s.makeRoom(bytes); err != nil {
		return err
	}
	g := s.active
	if _, err := g.file.WriteAt(g.encode()[:endOffset], 0); err != nil {
		return err
	}
	return g.file.Sync()
}

func diskFull(err error) error {
	if noRoom(err) {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}

// settle brings the index up to date and wakes those who wait.
func (s *Spool) settle(batch []*operation, err error) {
	s.mu.Lock()
	for _, o := range batch {
		s.release(o)
		o.err = err
		if r := o.add; r != nil && err == nil {
			r.place = o.frame.place
			r.segment.live += int64(r.size)
			s.index.add(r)
			s.owned.add(r)
		}
		for _, sequence := range o.remove {
			s.forget(sequence, err)
		}
	}
	s.mu.Unlock()
	for _, o := range batch {
		close(o.done)
	}
}

// forget takes an entry out of the index. What could not be marked is not offered any
// more all the same. It is called with the lock held.
func (s *Spool) forget(sequence uint64, err error) {
	r := s.index.records[sequence]
	if r == nil {
		return
	}
	s.index.remove(sequence)
	s.owned.remove(r)
	r.segment.live -= int64(r.size)
	if err != nil {
		s.unmarked[sequence] = r
	}
}
