package spool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
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
		moved = put // all is as it was, as far as the disk lets it
	}
	if len(moved) == 0 {
		return err
	}
	return errors.Join(err, s.Remove(context.WithoutCancel(ctx), moved...))
}

// putAll puts entries, in one commit where they fit, and returns the sequences of those
// that are stored. They are all, unless there is an error.
func (s *Spool) putAll(ctx context.Context, entries []Entry) (put []uint64, failed error) {
	var all []*operation
	for _, e := range entries {
		o := newPut(e)
		if err := s.enqueue(ctx, o, allowsAll); err != nil {
			failed = fmt.Errorf("put ahead into spool: %w", err)
			break
		}
		all = append(all, o)
	}
	for _, o := range all {
		if err := s.await(ctx, "put ahead into spool", o); err != nil {
			failed = err
			continue
		}
		put = append(put, o.add.sequence)
	}
	return put, failed
}

// storedAfter reads the entries of the same ordering key that were stored later.
func (s *Spool) storedAfter(e Entry) ([]Item, error) {
	return s.read(s.sequencesAfter(lineKey{e.Message.Root, e.Order}, e.Stored))
}

func (s *Spool) sequencesAfter(key lineKey, at time.Time) (sequences []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.index.lines[key]; l != nil {
		for _, r := range l.records {
			if r.stored > at.UnixNano() {
				sequences = append(sequences, r.sequence)
			}
		}
	}
	return sequences
}
