package spool

import (
	"cmp"
	"errors"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sine-relay/sine-relay/broker/outbox/spool/queue"
	"github.com/sine-relay/sine-relay/broker/outbox/wal"
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
	if err := wal.WriteMarks(r.marks); err != nil {
		return err
	}
	var copies []*wal.Segment
	moved := make(map[*queue.Record]wal.Place)
	for from, records := range r.moves() {
		g, err := r.copy(from, records, moved)
		if err != nil {
			for _, g := range copies {
				r.s.wal.Leave(g, "")
			}
			return err
		}
		if g != nil {
			copies = append(copies, g)
		}
	}
	r.account(copies, moved)
	for g, keptAs := range r.leaving {
		r.s.wal.Leave(g, keptAs)
	}
	_ = r.s.wal.Dispose() // or it is tried again
	r.s.forgetLeft()
	return nil
}

// moves are what waits in the segments that leave, oldest first.
func (r *recovery) moves() map[*wal.Segment][]*queue.Record {
	moves := make(map[*wal.Segment][]*queue.Record)
	add := func(all iter.Seq[*queue.Record]) {
		for rec := range all {
			if g := r.at(rec).Segment; r.leaves(g) {
				moves[g] = append(moves[g], rec)
			}
		}
	}
	add(maps.Values(r.waiting))
	add(slices.Values(r.foreign))
	r.s.mu.Lock()
	add(maps.Values(r.s.queue.Records()))
	r.s.mu.Unlock()
	for _, records := range moves {
		slices.SortFunc(records, bySequence)
	}
	return moves
}

func bySequence(a, b *queue.Record) int { return cmp.Compare(a.Sequence, b.Sequence) }

// copy makes a segment of what can be read of entries of another, and notes where
// they are then. It is nil where nothing can.
func (r *recovery) copy(from *wal.Segment, records []*queue.Record, moved map[*queue.Record]wal.Place) (*wal.Segment, error) {
	var frames []*wal.Frame
	var kept []*queue.Record
	bytes := int64(0)
	for _, rec := range records {
		found, err := from.Read(r.at(rec), int64(rec.Size))
		if err != nil {
			r.s.log.Error("cannot read a spooled message", "sequence", rec.Sequence, "err", err)
			continue
		}
		frames = append(frames, &wal.Frame{Sequence: rec.Sequence, Attempts: int(rec.Attempts), Value: found.Value()})
		kept = append(kept, rec)
		bytes += found.Size()
	}
	if len(frames) == 0 {
		return nil, nil
	}
	return r.s.wal.New(0, bytes, func(g *wal.Segment) error {
		for rest := frames; len(rest) > 0; {
			n, err := g.Fill(rest)
			if err != nil {
				return err
			}
			rest = rest[n:]
		}
		for i, rec := range kept {
			moved[rec] = frames[i].Place
		}
		return g.Finish()
	})
}

// account takes over what a recovery has found and copied.
func (r *recovery) account(copies []*wal.Segment, moved map[*queue.Record]wal.Place) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for rec, p := range r.places {
		rec.Place = p
	}
	var damage Damage
	stays := func(rec *queue.Record) bool {
		keptAs, leaves := r.leaving[rec.Segment]
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
		rec.Place = to
		return true
	}
	for sequence, rec := range s.queue.Records() {
		if !stays(rec) {
			s.queue.Remove(sequence)
		}
	}
	for _, rec := range slices.SortedFunc(slices.Values(slices.Concat(slices.Collect(maps.Values(r.waiting)), r.foreign)), bySequence) {
		if stays(rec) {
			s.queue.Add(rec)
			s.found++
		}
	}
	s.wal.Adopt(slices.Concat(r.read, copies)...)
	clear(s.live)
	for _, rec := range s.queue.Records() {
		s.live[rec.Segment] += int64(rec.Size)
	}
	r.report(damage)
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

// sweep has the segments go in which nothing waits.
func (s *Spool) sweep() {
	s.wal.Sweep(s.waitsIn)
	s.forgetLeft()
}

// waitsIn reports whether anything waits in a segment.
func (s *Spool) waitsIn(g *wal.Segment) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[g] > 0
}

// renew empties the last segment once nothing waits in it, so that nothing that was
// sent stays on the disk, be it full.
func (s *Spool) renew() {
	g := s.wal.Last()
	if g == nil || g.IsEmpty() || s.Fault() != nil || s.wal.Dispose() != nil || s.waitsIn(g) {
		return
	}
	s.wal.Renew()
	s.forgetLeft()
}

// forgetLeft forgets what could not be marked in segments that are gone, or began anew:
// to write there now would be to write over others.
func (s *Spool) forgetLeft() {
	maps.DeleteFunc(s.unmarked, func(_ uint64, r *queue.Record) bool { return !slices.Contains(s.wal.Segments(), r.Segment) })
}

// spareSegments may be taken up beside twice what waits.
const spareSegments = 4

// compact copies what waits in the emptiest segment forward, once the segments take
// up twice the room of what waits, and some more.
func (s *Spool) compact() {
	g := s.emptiest()
	if g == nil || s.existing || s.Fault() != nil {
		return
	}
	r := newRecovery(s)
	r.replace(g)
	err := s.wal.Dispose() // a copy that is of no effect must not outlive the original
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		s.log.Debug("cannot compact the spool", "err", err)
	}
}

// emptiest is the segment that is worth copying forward, or nil.
func (s *Spool) emptiest() (least *wal.Segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.wal.Segments() {
		if g != s.wal.Active() && (least == nil || g.Size-s.live[g] > least.Size-s.live[least]) {
			least = g
		}
	}
	if s.wal.Bytes() <= 2*s.queue.Bytes()+spareSegments*s.cfg.segment {
		return nil
	}
	return least
}
