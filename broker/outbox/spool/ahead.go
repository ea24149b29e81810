package spool

import (
	"context"
	"fmt"
	"slices"

	"github.com/sine-relay/sine-relay/broker/outbox/spool/queue"
)

// PutAhead is [Spool.Put] for entries of one ordering key, oldest first, that come ahead
// of those with that key that were stored later, by [Entry].Stored. Those are put once
// more, behind them, and then removed from where they were. The caller sees to it that
// nothing else is put with that key meanwhile. A crash may leave some of them twice, and
// in their old order.
func (s *Spool) PutAhead(ctx context.Context, entries ...Entry) error {
	later, err := s.storedAfter(entries[0])
	if err != nil {
		return fmt.Errorf("put ahead into spool: %w", err)
	}
	var moved []uint64
	for _, item := range later {
		entries = append(entries, item.Entry)
		moved = append(moved, item.Sequence)
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.Stored.Compare(b.Stored) })
	put, err := s.putAll(ctx, entries)
	if err != nil {
		moved = put // all is as it was
	}
	if len(moved) > 0 {
		_ = s.Remove(context.WithoutCancel(ctx), moved...) // they are not offered any more in any case
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

// storedAfter reads the entries of the same ordering key that were stored later.
func (s *Spool) storedAfter(e Entry) (later []Item, err error) {
	s.mu.Lock()
	sequences := s.queue.StoredAfter(queue.Key{Root: e.Message.Root, Order: e.Order}, e.Stored)
	s.mu.Unlock()
	err = s.each(sequences, func(i Item) error {
		later = append(later, i)
		return nil
	})
	return later, err
}
