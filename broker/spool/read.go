package spool

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/sine-relay/sine-relay/visit"
)

// readBytes bounds what one call of Runs brings into memory.
const readBytes = 4 << 20

// Waiting reports whether anything of a root and an order key is in the spool, is
// being committed or waits for its commit. A new message behind it must be put
// too, lest it overtake. It reads memory only.
func (s *Spool) Waiting(root visit.Root, order string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := lineKey{root, order}
	return s.index.lines[key] != nil || s.pending[key] > 0
}

// Park leaves the entries of an order key out of [Spool.Runs], until [Spool.Unpark]
// or until all of them are removed. To pass over them in each run would take the
// longer the more there are.
func (s *Spool) Park(root visit.Root, order string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index.park(lineKey{root, order})
}

// Unpark undoes Park, for any number of order keys.
func (s *Spool) Unpark(root visit.Root, orders ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, order := range orders {
		s.index.unpark(lineKey{root, order})
	}
}

// Runs returns the oldest entries of each of at most max order keys of a root,
// that with the oldest entry first: about total altogether, in even shares. Keys
// that are parked are passed over. Runs may be sent at the same time, but the
// entries of one only one after another. It returns fewer where they would take
// more than 4 MiB, but at least one where there is one.
func (s *Spool) Runs(root visit.Root, max, total int) ([][]Item, error) {
	s.mu.Lock()
	var wanted [][]record
	var bytes int64
	lines := s.index.oldest(root, max)
	for _, l := range lines {
		depth := (total + len(lines) - 1) / len(lines)
		var run []record
		for _, r := range l.records[:min(depth, len(l.records))] {
			if bytes += r.size; bytes > readBytes && bytes > r.size {
				break
			}
			run = append(run, *r)
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
		s.mu.Lock()
		r := s.index.records[sequence]
		var run []record
		if r != nil {
			run = []record{*r}
		}
		s.mu.Unlock()
		// Read one by one: bbolt cannot grow its file while somebody reads,
		// so fn must not be called within a transaction.
		items, err := s.read(run)
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
func (s *Spool) read(records []record) ([]Item, error) {
	var items []Item
	err := s.view(func(tx *bolt.Tx) error {
		items = nil
		entries := tx.Bucket(bucketEntries)
		for _, r := range records {
			value := entries.Get(key(r.sequence))
			if value == nil {
				continue
			}
			e, err := decode(r.sequence, value)
			if err != nil {
				return fmt.Errorf("%w: entry %d: %w", ErrDamaged, r.sequence, err)
			}
			e.Attempts = r.attempts
			items = append(items, Item{Sequence: r.sequence, Entry: e})
		}
		return nil
	})
	return items, err
}
