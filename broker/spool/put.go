package spool

import (
	"context"
	"fmt"
	"time"
)

// operation is one change that waits for a commit: an entry to add, entries to
// remove, an attempt to write down, or bytes for which the disk is tried.
type operation struct {
	add    *record
	frame  *frame
	probe  int64
	remove []uint64
	count  *record

	attempts  int
	started   bool // guarded by the spool's mutex
	withdrawn bool // likewise
	done      chan struct{}
	err       error // may be read once done is closed
}

// needsRoom reports whether the operation is refused while the spool is unusable.
func (o *operation) needsRoom() bool { return o.add != nil || o.probe > 0 }

// Put stores an entry, and returns nil only once it is on the disk. It shares
// its commit with all others that wait at that time.
//
// It returns [ErrFull] when there is no room, [ErrUnusable] while the files cannot
// be opened, and [ErrClosed]. When ctx ends
// while the entry is still queued, the entry is not stored and the error wraps
// the context's; once its commit has begun, Put waits for the end of that. Any
// other error comes from the disk and means that nothing is promised: the entry
// is not stored, or, when the last sync of all failed, may be sent all the same.
// The next Put tries the disk anew.
func (s *Spool) Put(ctx context.Context, e Entry) error {
	return s.PutIf(ctx, e, allowsAll)
}

func allowsAll(Room) error { return nil }

// PutIf is [Spool.Put] for an entry that is taken only where allows finds no fault
// with the room that it would take, and returns that fault otherwise. What is
// found holds until the entry has its place. allows must not use the spool.
func (s *Spool) PutIf(ctx context.Context, e Entry, allows func(Room) error) error {
	if e.Attempts < 0 {
		return fmt.Errorf("put into spool: %d attempts", e.Attempts)
	}
	o := newPut(e)
	if err := s.enqueue(ctx, o, allows); err != nil {
		return fmt.Errorf("put into spool: %w", err)
	}
	return s.await(ctx, "put into spool", o)
}

func newPut(e Entry) *operation {
	if e.Stored.IsZero() {
		e.Stored = time.Now()
	}
	value := encode(e)
	o := &operation{frame: &frame{attempts: e.Attempts, value: value}, done: make(chan struct{})}
	o.add = recordOf(e, int64(len(value)))
	return o
}

// Remove forgets entries, and returns nil only once that is on the disk. Those
// that are not there are passed over. A crash before it means that they are
// offered again, with the same id. After an error of the disk this process offers
// them no more all the same, lest they keep back the others, and removes them from
// the disk once it can.
func (s *Spool) Remove(ctx context.Context, sequences ...uint64) error {
	o := &operation{remove: sequences, done: make(chan struct{})}
	if err := s.enqueue(ctx, o, nil); err != nil {
		return fmt.Errorf("remove from spool: %w", err)
	}
	return s.await(ctx, "remove from spool", o)
}

// Probe stores nothing, and returns what Put would say about the disk for an entry
// of so many bytes.
func (s *Spool) Probe(ctx context.Context, bytes int64) error {
	o := &operation{probe: recordSize(int(max(bytes, 1))), done: make(chan struct{})}
	if err := s.enqueue(ctx, o, nil); err != nil {
		return fmt.Errorf("probe spool: %w", err)
	}
	return s.await(ctx, "probe spool", o)
}

// Failed counts an attempt to send an entry that its receiver refused, and
// returns how many there were. The count survives a restart unless there is an
// error; in this process it holds in either case, so that a full disk does not
// make a message that no stream takes be tried for ever. It is 0 for an entry that
// is not there.
func (s *Spool) Failed(ctx context.Context, sequence uint64) (attempts int, err error) {
	s.mu.Lock()
	r := s.index.records[sequence]
	if r != nil {
		r.attempts = min(r.attempts+1, maxAttempts)
		attempts = int(r.attempts)
	}
	s.mu.Unlock()
	if r == nil {
		return 0, nil
	}
	o := &operation{count: r, attempts: attempts, done: make(chan struct{})}
	if err := s.enqueue(ctx, o, nil); err != nil {
		return attempts, fmt.Errorf("count attempt in spool: %w", err)
	}
	return attempts, s.await(ctx, "count attempt in spool", o)
}

// enqueue gives an entry its place, if that is allowed: from here on it is
// waiting.
func (s *Spool) enqueue(ctx context.Context, o *operation, allows func(Room) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if s.fault != nil && o.needsRoom() {
		return s.fault
	}
	if r := o.add; r != nil {
		if int64(r.size) > s.cfg.MaxBytes-s.index.bytes-s.reserved {
			return ErrFull
		}
		if err := allows(s.room(r.root, r.integration, int64(r.size))); err != nil {
			return err
		}
		s.last++
		r.sequence, o.frame.sequence = s.last, s.last
		s.pending[r.lineKey]++
		s.reserved += int64(r.size)
		s.owned.add(r)
	}
	s.queue = append(s.queue, o)
	s.signal()
	return nil
}

func (s *Spool) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Spool) await(ctx context.Context, operation string, o *operation) error {
	select {
	case <-o.done:
	case <-ctx.Done():
		if s.withdraw(o) {
			return ended(operation, ctx)
		}
		<-o.done
	}
	if o.err != nil {
		return fmt.Errorf("%s: %w", operation, o.err)
	}
	return nil
}

// withdraw takes an operation back unless its commit has begun.
func (s *Spool) withdraw(o *operation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.started {
		return false
	}
	o.withdrawn = true
	s.release(o)
	return true
}

// release gives the place of a put back. The caller holds the mutex.
func (s *Spool) release(o *operation) {
	r := o.add
	if r == nil {
		return
	}
	s.reserved -= int64(r.size)
	s.owned.remove(r)
	if s.pending[r.lineKey]--; s.pending[r.lineKey] == 0 {
		delete(s.pending, r.lineKey)
	}
}
