package spool

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Damage is what was found when segments were read, and what was done.
type Damage struct {
	// Path is where the damaged files are kept. They are never deleted. It is empty
	// where another has removed them.
	Path  string
	Cause error
	// Rescued entries were readable and are in the spool again. Some of them
	// may have been removed shortly before.
	Rescued int
	// Lost entries waited in a file that was open and could not be read any more.
	Lost int
}

// Damaged returns the last damage, or nil.
func (s *Spool) Damaged() *Damage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.damage
}

// move copies an entry to the end of the log.
type move struct {
	record *record
	from   place
	to     *frame // nil where it cannot be read
}

// finish copies forward what waits in segments that leave, and takes over what was
// read. On an error all is as before, and copies are of no effect.
func (r *recovery) finish() error {
	moves := r.moves()
	if err := r.forward(moves); err != nil {
		return err
	}
	r.s.account(r, moves)
	for g, aside := range r.leaving {
		r.s.leave(g, aside)
	}
	r.s.dispose()
	return nil
}

// moves are what must be copied, oldest first. What is foreign gets a new sequence.
func (r *recovery) moves() (moves []*move) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.last = max(r.s.last, r.last)
	for _, sequence := range r.s.index.sequences() {
		record := r.s.index.records[sequence]
		from, ok := r.places[sequence]
		if !ok {
			from = record.place
		}
		if !r.stays(from) {
			moves = append(moves, &move{record: record, from: from})
		}
	}
	for _, sequence := range slices.Sorted(maps.Keys(r.waiting)) {
		if record := r.waiting[sequence]; !r.stays(record.place) {
			moves = append(moves, &move{record: record, from: record.place})
		}
	}
	slices.SortStableFunc(r.foreign, func(a, b *record) int { return int(int64(a.sequence) - int64(b.sequence)) })
	for _, record := range r.foreign {
		r.s.last++
		record.sequence = r.s.last
		moves = append(moves, &move{record: record, from: record.place})
	}
	return moves
}

func (r *recovery) stays(p place) bool {
	_, leaves := r.leaving[p.segment]
	return !leaves
}

// forward appends copies, and has them synced.
func (r *recovery) forward(moves []*move) error {
	for rest := moves; len(rest) > 0; {
		var frames []*frame
		bytes, n := int64(0), 0
		for ; n < len(rest) && bytes < batchBytes; n++ {
			m := rest[n]
			value, err := m.from.segment.read(m.from, int64(m.record.size))
			if err != nil {
				r.s.log.Error("cannot read a spooled message", "sequence", m.record.sequence, "err", err)
				continue
			}
			m.to = &frame{sequence: m.record.sequence, attempts: int(m.record.attempts), value: value}
			frames = append(frames, m.to)
			bytes += int64(len(value))
		}
		for len(frames) > 0 {
			done, err := r.s.append(frames)
			if err != nil {
				return err
			}
			frames = frames[done:]
		}
		rest = rest[n:]
		for _, m := range moves[:len(moves)-len(rest)] {
			if m.to != nil {
				m.to.value = nil // it is on the disk
			}
		}
	}
	return nil
}

// account takes over what a recovery has found and moved.
func (s *Spool) account(r *recovery, moves []*move) {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := slices.Concat(slices.Collect(maps.Values(r.waiting)), r.foreign)
	for sequence, p := range r.places {
		if known := s.index.records[sequence]; known != nil {
			known.place = p
		} else if known := s.unmarked[sequence]; known != nil {
			known.place = p
		}
	}
	var damage Damage
	for _, m := range moves {
		if m.to != nil {
			m.record.place = m.to.place
			if r.leaving[m.from.segment] != "" {
				damage.Rescued++
			}
			continue
		}
		damage.Lost++
		if s.index.records[m.record.sequence] == m.record {
			s.owned.remove(m.record)
			s.index.remove(m.record.sequence)
		}
		added = slices.DeleteFunc(added, func(lost *record) bool { return lost == m.record })
	}
	slices.SortFunc(added, func(a, b *record) int { return int(int64(a.sequence) - int64(b.sequence)) })
	for _, record := range added {
		s.index.add(record)
		s.owned.add(record)
	}
	s.found += len(added)
	s.segments = slices.SortedFunc(slices.Values(slices.Concat(s.segments, r.read)), func(a, b *segment) int {
		return int(int64(a.number) - int64(b.number))
	})
	s.countLive()
	r.report(damage)
}

func (s *Spool) countLive() {
	for _, g := range s.segments {
		g.live = 0
	}
	for _, record := range s.index.records {
		record.segment.live += int64(record.size)
	}
}

// report keeps and logs what was damaged or lost. It is called with the lock held.
func (r *recovery) report(d Damage) {
	var paths []string
	for _, aside := range r.leaving {
		if aside != "" {
			paths = append(paths, filepath.Join(r.s.cfg.Dir, aside))
		}
	}
	slices.Sort(paths)
	d.Path, d.Cause = strings.Join(paths, ", "), errors.Join(r.damage...)
	if d.Cause == nil && d.Lost > 0 {
		d.Cause = errors.New("its file was removed, and cannot be read")
	}
	if d.Cause == nil {
		return
	}
	r.s.damage = &d
	r.s.log.Error("the spool was damaged: what could be read was copied, and the damaged file is kept",
		"path", d.Path, "rescued", d.Rescued, "lost", d.Lost, "err", d.Cause)
}

// Found is how many entries earlier processes have left.
func (s *Spool) Found() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found
}
