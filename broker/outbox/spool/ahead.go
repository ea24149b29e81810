package spool

import (
	"context"
	"fmt"

	"github.com/sine-relay/sine-relay/broker/outbox/spool/queue"
)

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
