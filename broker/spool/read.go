package spool

import (
	"errors"
	"fmt"
	"os"

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
	key := lineKey{root, order}
	return s.index.lines[key] != nil || s.pending[key] > 0
}

// Park leaves the entries of an ordering key out of [Spool.Runs], until [Spool.Unpark]
// or until all of them are removed. To pass over them in each run would take the
// longer the more there are.
func (s *Spool) Park(root visit.Root, order string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index.park(lineKey{root, order})
}

// Unpark undoes Park, for any number of ordering keys.
func (s *Spool) Unpark(root visit.Root, orders ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, order := range orders {
		s.index.unpark(lineKey{root, order})
	}
}

// Runs returns the oldest entries of each of at most max ordering keys of a root,
// that with the oldest entry first: about total altogether, in even shares. Keys
// that are parked are passed over. Runs may be sent at the same time, but the
// entries of one only one after another. It returns fewer where they would take
// more than 4 MiB, but at least one where there is one.
func (s *Spool) Runs(root visit.Root, max, total int) ([][]Item, error) {
	s.mu.Lock()
	var wanted [][]uint64
	var bytes int64
	lines := s.index.oldest(root, max)
	for _, l := range lines {
		depth := (total + len(lines) - 1) / len(lines)
		var run []uint64
		for _, r := range l.records[:min(depth, len(l.records))] {
			if bytes += int64(r.size); bytes > readBytes && bytes > int64(r.size) {
				break
			}
			run = append(run, r.sequence)
		}
		if len(run) > 0 {
			wanted = append(wanted, run)
		}
	}
	s.mu.Unlock()
	var runs [][]Item
	for _, run := range wanted {
		items, err := s.read(run)
		if err != nil {
			return nil, fmt.Errorf("read spool: %w", err)
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
	sequences := s.index.sequences()
	s.mu.Unlock()
	for _, sequence := range sequences {
		items, err := s.read([]uint64{sequence})
		if err != nil {
			return fmt.Errorf("read spool: %w", err)
		}
		for _, item := range items {
			if err := fn(item); err != nil {
				return err
			}
		}
	}
	return nil
}

// read returns those of the entries that are still there.
func (s *Spool) read(sequences []uint64) (items []Item, err error) {
	for _, sequence := range sequences {
		e, there, err := s.readOne(sequence)
		if err != nil {
			return nil, err
		}
		if there {
			items = append(items, Item{Sequence: sequence, Entry: e})
		}
	}
	return items, nil
}

// readOne reads an entry from where it is by then: it may be copied forward at any
// time. One that is not as it was written has its segment read anew.
func (s *Spool) readOne(sequence uint64) (Entry, bool, error) {
	for {
		r, there := s.lookUp(sequence)
		if !there {
			return Entry{}, false, nil
		}
		e, err := r.read()
		if err == nil {
			return e, true, nil
		}
		if now, there := s.lookUp(sequence); !there || now.place != r.place {
			continue
		}
		if errors.Is(err, os.ErrClosed) {
			return Entry{}, false, ErrClosed
		}
		if errors.Is(err, ErrDamaged) {
			r.segment.distrust(err)
			s.signal()
		}
		return Entry{}, false, err
	}
}

// lookUp returns a copy of what is known of an entry.
func (s *Spool) lookUp(sequence uint64) (record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.index.records[sequence]; r != nil {
		return *r, true
	}
	return record{}, false
}

func (r *record) read() (Entry, error) {
	b, err := r.segment.read(r.place, int64(r.size))
	if err != nil {
		return Entry{}, err
	}
	e, err := decode(payloadOf(b))
	if err != nil || little.Uint64(b[16:]) != r.sequence {
		return Entry{}, fmt.Errorf("%w: what is at the place of entry %d is another", ErrDamaged, r.sequence)
	}
	e.Attempts = int(r.attempts)
	return e, nil
}
