package spool

import (
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/disk"
	"github.com/sine-relay/sine-relay/broker/outbox/spool/queue"
	"github.com/sine-relay/sine-relay/broker/outbox/wal"
)

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
	return s.closed || len(s.waiting) >= batchReady
}

// take marks the next operations as started and returns them.
func (s *Spool) take() (batch []*operation, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bytes, n := 0, 0
	for ; n < len(s.waiting) && bytes < wal.BatchBytes; n++ {
		o := s.waiting[n]
		if o.withdrawn {
			continue
		}
		o.started = true
		if o.frame != nil {
			bytes += len(o.frame.Value)
		}
		batch = append(batch, o)
	}
	s.waiting = slices.Delete(s.waiting, 0, n)
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
	err := wal.WriteMarks(s.marks(batch))
	s.took(time.Since(began))
	s.settle(batch, err)
	s.sweep()
}

// marks are the states that operations change. Entries that are not there are passed
// over.
func (s *Spool) marks(batch []*operation) (marks []wal.Mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range batch {
		if r := o.count; r != nil && s.queue.Record(r.Sequence) == r {
			marks = append(marks, markOf(r, wal.Waiting, o.attempts))
		}
	}
	for _, o := range batch { // last, or an attempt would have it wait again
		for _, sequence := range o.remove {
			if r := s.queue.Record(sequence); r != nil {
				marks = append(marks, markOf(r, wal.Sent, 0))
			}
		}
	}
	return marks
}

func markOf(r *queue.Record, state wal.State, attempts int) wal.Mark {
	return wal.Mark{Place: r.Place, Sequence: r.Sequence, State: state, Attempts: attempts}
}

// forgetEvery is between two tries to remove what a disk did not let be removed.
const forgetEvery = time.Second

// retryRemovals marks what was to be removed before and is not marked yet. What has left
// with its segment need not be.
func (s *Spool) retryRemovals() {
	if len(s.unmarked) == 0 || time.Since(s.retried) < forgetEvery {
		return
	}
	s.retried = time.Now()
	var marks []wal.Mark
	for _, r := range s.unmarked {
		marks = append(marks, markOf(r, wal.Sent, 0))
	}
	if wal.WriteMarks(marks) == nil {
		clear(s.unmarked)
	}
}

// commitPuts appends entries. One for which there is no room keeps back no other.
func (s *Spool) commitPuts(puts []*operation) {
	for len(puts) > 0 {
		if fault := s.Fault(); fault != nil {
			s.settle(puts, fault)
			return
		}
		frames := make([]*wal.Frame, len(puts))
		for i, o := range puts {
			frames[i] = o.frame
		}
		began := time.Now()
		n, err := s.wal.Append(frames)
		if err != nil && !disk.IsFull(err) {
			n = len(puts)
		}
		s.took(time.Since(began)) // or one who was answered would not know yet
		if err == nil && s.wal.Active().Check(s.disk) != nil {
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
	s.waiting = slices.Concat(puts, s.waiting)
	s.signal()
}

// settle brings the queue up to date and wakes those who wait.
func (s *Spool) settle(batch []*operation, err error) {
	s.mu.Lock()
	for _, o := range batch {
		o.err = err
		if r := o.add; r != nil {
			s.queue.Release(r)
			if err == nil {
				r.Place = o.frame.Place
				s.live[r.Segment] += int64(r.Size)
				s.queue.Add(r)
			}
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

// forget takes an entry out of the queue. What could not be marked is not offered any
// more all the same. It is called with the lock held.
func (s *Spool) forget(sequence uint64, err error) {
	r := s.queue.Remove(sequence)
	if r == nil {
		return
	}
	if s.live[r.Segment] -= int64(r.Size); s.live[r.Segment] == 0 {
		delete(s.live, r.Segment)
	}
	if err != nil {
		s.unmarked[sequence] = r
	}
}
