package spool

import (
	"errors"
	"fmt"
	"os"

	"github.com/sine-relay/sine-relay/broker/outbox/spool/queue"
	"github.com/sine-relay/sine-relay/broker/outbox/wal"
	"github.com/sine-relay/sine-relay/visit"
)

// readBytes bounds what one call of Runs brings into memory.
const readBytes = 4 << 20

// Waiting reports whether anything of a root and an ordering key is in the spool, is
// being committed or waits for its commit. A new message behind it must be put
// too, lest it overtake. It reads memory only.
func (s *Spool) Waiting(root visit.Root, order string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.Waiting(queue.Key{Root: root, Order: order})
}

// Park leaves the entries of an ordering key out of [Spool.Runs], until [Spool.Unpark]
// or until all of them are removed. To pass over them in each run would take the
// longer the more there are.
func (s *Spool) Park(root visit.Root, order string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.Park(queue.Key{Root: root, Order: order})
}

// Unpark undoes Park, for any number of ordering keys.
func (s *Spool) Unpark(root visit.Root, orders ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, order := range orders {
		s.queue.Unpark(queue.Key{Root: root, Order: order})
	}
}

// Runs returns the oldest entries of each of at most max ordering keys of a root,
// that with the oldest entry first: about total altogether, in even shares. Keys
// that are parked are passed over. Runs may be sent at the same time, but the
// entries of one only one after another. It returns fewer where they would take
// more than 4 MiB, but at least one where there is one.
func (s *Spool) Runs(root visit.Root, max, total int) ([][]Item, error) {
	s.mu.Lock()
	wanted := s.queue.Runs(root, max, total, readBytes)
	s.mu.Unlock()
	var runs [][]Item
	for _, run := range wanted {
		var items []Item
		err := s.each(run, func(i Item) error { items = append(items, i); return nil })
		if err != nil {
			return nil, err
		}
		if len(items) > 0 {
			runs = append(runs, items)
		}
	}
	return runs, nil
}

// Each calls fn for each entry that is stored when it is called, oldest first,
// except for those that were removed meanwhile, until fn returns an error,
// which it returns. fn may use the spool.
func (s *Spool) Each(fn func(Item) error) error {
	s.mu.Lock()
	sequences := s.queue.Sequences()
	s.mu.Unlock()
	return s.each(sequences, fn)
}

// each calls fn for those of the entries that are still there.
func (s *Spool) each(sequences []uint64, fn func(Item) error) error {
	for _, sequence := range sequences {
		e, there, err := s.readOne(sequence)
		if err != nil {
			return fmt.Errorf("read spool: %w", err)
		}
		if !there {
			continue
		}
		if err := fn(Item{Sequence: sequence, Entry: e}); err != nil {
			return err
		}
	}
	return nil
}

// readOne reads an entry from where it is by then: it may be copied forward at any
// time. One that is not as it was written has its segment read anew.
func (s *Spool) readOne(sequence uint64) (Entry, bool, error) {
	for {
		r, there := s.lookUp(sequence)
		if !there {
			return Entry{}, false, nil
		}
		e, err := read(r)
		if err == nil {
			return e, true, nil
		}
		if now, there := s.lookUp(sequence); !there || now.Place != r.Place {
			continue
		}
		if errors.Is(err, os.ErrClosed) {
			return Entry{}, false, ErrClosed
		}
		if errors.Is(err, wal.ErrDamaged) {
			r.Segment.Distrust(err)
			s.signal()
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return Entry{}, false, err
	}
}

// lookUp returns a copy of what is known of an entry.
func (s *Spool) lookUp(sequence uint64) (queue.Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.queue.Record(sequence); r != nil {
		return *r, true
	}
	return queue.Record{}, false
}

func read(r queue.Record) (Entry, error) {
	found, err := r.Segment.Read(r.Place, int64(r.Size))
	if err != nil {
		return Entry{}, err
	}
	e, err := found.Entry()
	if err != nil || found.Sequence != r.Sequence {
		return Entry{}, fmt.Errorf("%w: what is at the place of entry %d is another", wal.ErrDamaged, r.Sequence)
	}
	e.Attempts = int(r.Attempts)
	return e, nil
}
