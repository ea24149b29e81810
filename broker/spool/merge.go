package spool

import (
	"errors"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// merge has a file that was opened hold what waits, beside what it holds already.
// It returns what of that is new, and what waits and cannot be read any more.
// What it did before an error does no harm.
func (s *Spool) merge(db *bolt.DB, found *contents) (added []*record, lost []uint64, err error) {
	kept, added, foreign, next := s.compare(found)
	out := &carrier{db: db}
	for _, r := range foreign {
		next++
		if err := move(db, out, r, next); err != nil {
			return nil, nil, err
		}
	}
	for _, r := range s.waiting() {
		if kept[r.sequence] {
			continue
		}
		value, err := s.value(r.sequence)
		if err != nil {
			s.log.Error("cannot read a spooled message", "sequence", r.sequence, "err", err)
			lost = append(lost, r.sequence)
			continue
		}
		if err := out.entry(r.sequence, value, r.attempts); err != nil {
			return nil, nil, err
		}
	}
	return added, lost, out.flush(next)
}

// compare parts what was found: kept is what is known already, by its sequence, and
// added the rest, of which the foreign need other sequences, after next: theirs
// are in use, or were.
func (s *Spool) compare(found *contents) (kept map[uint64]bool, added, foreign []*record, next uint64) {
	kept = make(map[uint64]bool)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range found.records {
		mine := s.index.records[r.sequence]
		if mine == nil {
			mine = s.unforgotten[r.sequence]
		}
		if mine != nil && mine.size == r.size && mine.lineKey == r.lineKey && mine.stored.Equal(r.stored) {
			kept[r.sequence] = true
			continue
		}
		added = append(added, r)
		if r.sequence <= s.last {
			foreign = append(foreign, r)
		}
	}
	next = max(s.last, found.last)
	s.last = next + uint64(len(foreign))
	return kept, added, foreign, next
}

// waiting returns copies of all records, by their sequence.
func (s *Spool) waiting() []record {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []record
	for _, sequence := range s.index.sequences() {
		all = append(all, *s.index.records[sequence])
	}
	return all
}

// value reads an entry from the file that is open.
func (s *Spool) value(sequence uint64) (value []byte, err error) {
	err = s.view(func(tx *bolt.Tx) (err error) {
		value, err = entryIn(tx, sequence)
		return err
	})
	return value, err
}

// entryIn returns a copy of an entry that is as it was put.
func entryIn(tx *bolt.Tx, sequence uint64) ([]byte, error) {
	value := tx.Bucket(bucketEntries).Get(key(sequence))
	if value == nil {
		return nil, errors.New("not found")
	}
	_, err := decode(sequence, value)
	return slices.Clone(value), err
}

// move gives an entry of a file another sequence.
func move(db *bolt.DB, out *carrier, r *record, sequence uint64) error {
	var value []byte
	err := guarded(func() error {
		return db.View(func(tx *bolt.Tx) (err error) {
			value, err = entryIn(tx, r.sequence)
			return err
		})
	})
	if err != nil {
		return err
	}
	seal(sequence, value)
	old := key(r.sequence)
	r.sequence = sequence
	return errors.Join(out.entry(sequence, value, r.attempts), out.carry(bucketEntries, old, nil), out.carry(bucketAttempts, old, nil))
}

// entry carries an entry with its attempts.
func (c *carrier) entry(sequence uint64, value []byte, attempts int) error {
	if attempts > 0 {
		if err := c.carry(bucketAttempts, key(sequence), key(uint64(attempts))); err != nil {
			return err
		}
	}
	return c.carry(bucketEntries, key(sequence), value)
}

// account takes over what merge has found out.
func (s *Spool) account(added []*record, lost []uint64, damage *Damage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sequence := range lost {
		s.owned.remove(s.index.records[sequence])
		s.index.remove(sequence)
	}
	for _, r := range added {
		s.index.add(r)
		s.owned.add(r)
	}
	s.found += len(added)
	if damage == nil && len(lost) > 0 {
		damage = &Damage{Cause: errors.New("its file was removed, and cannot be read")}
	}
	if damage != nil {
		damage.Lost = len(lost)
		s.damage = damage
	}
}

// Found is how many entries earlier processes have left.
func (s *Spool) Found() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found
}
