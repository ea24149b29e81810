package spool

import (
	"cmp"
	"errors"
	"iter"
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

// finish copies forward what waits in segments that leave, and takes over what was
// read. On an error all is as before, and copies leave again.
func (r *recovery) finish() error {
	if err := writeMarks(r.marks); err != nil {
		return err
	}
	var copies []*segment
	moved := make(map[*record]place)
	for from, records := range r.moves() {
		g, err := r.copy(from, records, moved)
		if err != nil {
			for _, g := range copies {
				r.s.leave(g, "")
			}
			return err
		}
		if g != nil {
			copies = append(copies, g)
		}
	}
	r.account(copies, moved)
	for g, keptAs := range r.leaving {
		r.s.leave(g, keptAs)
	}
	_ = r.s.dispose() // or it is tried again
	return nil
}

// moves are what waits in the segments that leave, oldest first.
func (r *recovery) moves() map[*segment][]*record {
	moves := make(map[*segment][]*record)
	add := func(all iter.Seq[*record]) {
		for rec := range all {
			if g := r.at(rec).segment; r.leaves(g) {
				moves[g] = append(moves[g], rec)
			}
		}
	}
	add(maps.Values(r.waiting))
	add(slices.Values(r.foreign))
	r.s.mu.Lock()
	add(maps.Values(r.s.index.records))
	r.s.mu.Unlock()
	for _, records := range moves {
		slices.SortFunc(records, bySequence)
	}
	return moves
}

func bySequence(a, b *record) int { return cmp.Compare(a.sequence, b.sequence) }

// copy makes a segment of what can be read of entries of another, and notes where
// they are then. It is nil where nothing can.
func (r *recovery) copy(from *segment, records []*record, moved map[*record]place) (*segment, error) {
	var frames []*frame
	var kept []*record
	bytes := int64(0)
	for _, rec := range records {
		value, err := from.read(r.at(rec), int64(rec.size))
		if err != nil {
			r.s.log.Error("cannot read a spooled message", "sequence", rec.sequence, "err", err)
			continue
		}
		frames = append(frames, &frame{sequence: rec.sequence, attempts: int(rec.attempts), value: value})
		kept = append(kept, rec)
		bytes += int64(len(value))
	}
	if len(frames) == 0 {
		return nil, nil
	}
	return r.s.newSegment(0, bytes, func(g *segment) error {
		for rest := frames; len(rest) > 0; {
			n, err := g.fill(rest)
			if err != nil {
				return err
			}
			rest = rest[n:]
		}
		for i, rec := range kept {
			moved[rec] = frames[i].place
		}
		return g.finish()
	})
}

// account takes over what a recovery has found and copied.
func (r *recovery) account(copies []*segment, moved map[*record]place) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for rec, p := range r.places {
		rec.place = p
	}
	var damage Damage
	stays := func(rec *record) bool {
		keptAs, leaves := r.leaving[rec.segment]
		to, copied := moved[rec]
		switch {
		case !leaves:
			return true
		case !copied:
			damage.Lost++
			return false
		case keptAs != "":
			damage.Rescued++
		}
		rec.place = to
		return true
	}
	for sequence, rec := range s.index.records {
		if !stays(rec) {
			s.owned.remove(rec)
			s.index.remove(sequence)
		}
	}
	for _, rec := range slices.SortedFunc(slices.Values(slices.Concat(slices.Collect(maps.Values(r.waiting)), r.foreign)), bySequence) {
		if stays(rec) {
			s.index.add(rec)
			s.owned.add(rec)
			s.found++
		}
	}
	s.segments = slices.SortedFunc(slices.Values(slices.Concat(s.segments, r.read, copies)), func(a, b *segment) int {
		return cmp.Compare(a.number, b.number)
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
	for _, keptAs := range r.leaving {
		if keptAs != "" {
			paths = append(paths, filepath.Join(r.s.cfg.Dir, keptAs))
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
