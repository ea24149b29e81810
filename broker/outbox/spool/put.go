package spool

import (
	"context"
	"fmt"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/spool/queue"
	"github.com/sine-relay/sine-relay/broker/outbox/wal"
)

// operation is one change that waits for a commit: an entry to add, entries to
// remove, an attempt to write down, or bytes for which the disk is tried.
type operation struct {
	add    *queue.Record
	frame  *wal.Frame
	allows func(Room) error // of add
	probe  int64
	remove []uint64
	count  *queue.Record

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
	return s.do(ctx, "put into spool", newPut(e, allows))
}

func newPut(e Entry, allows func(Room) error) *operation {
	if e.Stored.IsZero() {
		e.Stored = time.Now()
	}
	value := wal.Encode(e)
	return &operation{
		add: queue.RecordOf(e, int64(len(value))), frame: &wal.Frame{Attempts: e.Attempts, Value: value}, allows: allows,
	}
}

// Remove forgets entries, and returns nil only once that is on the disk. Those
// that are not there are passed over. A crash before it means that they are
// offered again, with the same id. After an error of the disk this process offers
// them no more all the same, lest they keep back the others, and removes them from
// the disk once it can.
func (s *Spool) Remove(ctx context.Context, sequences ...uint64) error {
	return s.do(ctx, "remove from spool", &operation{remove: sequences})
}

// Probe stores nothing, and returns what Put would say about the disk for an entry
// of so many bytes.
func (s *Spool) Probe(ctx context.Context, bytes int64) error {
	return s.do(ctx, "probe spool", &operation{probe: wal.RecordSize(int(max(bytes, 1)))})
}

// Failed counts an attempt to send an entry that its receiver refused, and
// returns how many there were. The count survives a restart unless there is an
// error; in this process it holds in either case, so that a full disk does not
// make a message that no stream takes be tried for ever. It is 0 for an entry that
// is not there.
func (s *Spool) Failed(ctx context.Context, sequence uint64) (attempts int, err error) {
	s.mu.Lock()
	r := s.queue.Record(sequence)
	if r != nil {
		r.Attempts = min(r.Attempts+1, wal.MaxAttempts)
		attempts = int(r.Attempts)
	}
	s.mu.Unlock()
	if r == nil {
		return 0, nil
	}
	return attempts, s.do(ctx, "count attempt in spool", &operation{count: r, attempts: attempts})
}

// do has an operation committed, and waits for that.
func (s *Spool) do(ctx context.Context, what string, o *operation) error {
	err := context.Cause(ctx)
	if err == nil {
		err = s.enqueue(o)
	}
	if err == nil {
		err = s.await(ctx, o)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// enqueue gives an entry its place, if that is allowed: from here on it is
// waiting.
func (s *Spool) enqueue(o *operation) error {
	o.done = make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if s.fault != nil && o.needsRoom() {
		return s.fault
	}
	if r := o.add; r != nil {
		if int64(r.Size) > s.cfg.MaxBytes-s.queue.Bytes() {
			return ErrFull
		}
		if err := o.allows(s.queue.Room(r.Root, r.Integration, int64(r.Size))); err != nil {
			return err
		}
		s.last++
		r.Sequence, o.frame.Sequence = s.last, s.last
		s.queue.Reserve(r)
	}
	s.waiting = append(s.waiting, o)
	s.signal()
	return nil
}

func (s *Spool) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Spool) await(ctx context.Context, o *operation) error {
	select {
	case <-o.done:
	case <-ctx.Done():
		if s.withdraw(o) {
			return context.Cause(ctx)
		}
		<-o.done
	}
	return o.err
}

// withdraw takes an operation back unless its commit has begun.
func (s *Spool) withdraw(o *operation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.started {
		return false
	}
	o.withdrawn = true
	if o.add != nil {
		s.queue.Release(o.add)
	}
	return true
}

// PutAhead is [Spool.Put] for entries of one ordering key, oldest first, that come ahead
// of all others with that key. Those are put once more, behind them, and then removed from
// where they were. The caller sees to it that nothing else is put with that key meanwhile.
// A crash may leave some of them twice, and in their old order.
func (s *Spool) PutAhead(ctx context.Context, entries ...Entry) error {
	s.mu.Lock()
	behind := s.queue.Line(queue.Key{Root: entries[0].Message.Root, Order: entries[0].Order})
	s.mu.Unlock()
	err := s.each(behind, func(i Item) error { entries = append(entries, i.Entry); return nil })
	if err != nil {
		return fmt.Errorf("put ahead into spool: %w", err)
	}
	put, err := s.putAll(ctx, entries)
	leave := behind
	if err != nil {
		leave = put // all is as it was
	}
	if len(leave) > 0 {
		_ = s.Remove(context.WithoutCancel(ctx), leave...) // they are not offered any more in any case
	}
	return err
}

// putAll puts entries, in one commit where they fit, and returns the sequences of those
// that are stored. They are all, unless there is an error.
func (s *Spool) putAll(ctx context.Context, entries []Entry) (put []uint64, failed error) {
	var all []*operation
	for _, e := range entries {
		o := newPut(e, allowsAll)
		if failed = context.Cause(ctx); failed == nil {
			failed = s.enqueue(o)
		}
		if failed != nil {
			break
		}
		all = append(all, o)
	}
	for _, o := range all {
		if err := s.await(ctx, o); err != nil {
			failed = err
			continue
		}
		put = append(put, o.add.Sequence)
	}
	if failed != nil {
		failed = fmt.Errorf("put ahead into spool: %w", failed)
	}
	return put, failed
}
