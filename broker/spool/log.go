package spool

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"
)

// What follows is the committer's alone.

// frame is an entry on its way into a segment.
type frame struct {
	sequence uint64
	attempts int
	value    []byte // as encode returns it
	place    place  // where it is, once it was appended
}

// append writes and syncs as many of the frames as make one batch, and returns how
// many that are, with what became of them. After an error their segment is not
// appended to any more: what of it is on the disk is not known.
func (s *Spool) append(frames []*frame) (int, error) {
	if err := s.makeRoom(int64(len(frames[0].value))); err != nil {
		return 1, err
	}
	n, err := s.active.fill(frames)
	if err != nil {
		s.retire()
	}
	return n, err
}

// makeRoom has an active segment with room for a record of so many bytes.
func (s *Spool) makeRoom(record int64) error {
	if g := s.active; g != nil && g.end+record <= g.size {
		return nil
	}
	return s.turn(record)
}

// turn begins a new active segment.
func (s *Spool) turn(record int64) error {
	g, err := s.newSegment(s.segmentSize(), record, func(*segment) error { return nil })
	if err != nil {
		return fmt.Errorf("begin a segment: %w", err)
	}
	s.retire()
	s.active = g
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = append(s.segments, g)
	return nil
}

// newSegment makes a segment, which has its name once it was filled and synced.
func (s *Spool) newSegment(size, records int64, fill func(*segment) error) (*segment, error) {
	names, err := s.disk.list()
	if err != nil {
		return nil, err
	}
	for _, name := range names { // a file that another put there is not replaced
		s.number = max(s.number, numberOf(name))
	}
	s.number++
	s.mu.Lock()
	h := header{number: s.number, last: s.last, size: size}
	s.mu.Unlock()
	g, err := createSegment(s.disk, h, records)
	if err != nil {
		return nil, err
	}
	if err = fill(g); err == nil {
		err = g.publish(s.disk)
	}
	if err != nil {
		_ = s.disk.remove(draftName(g.number)) // or the next start does
		s.leave(g, "")
		return nil, err
	}
	return g, nil
}

// retire ends the active segment. Where that cannot be written down, what was torn
// at its end is found by the next start, and may be sent although it was refused.
func (s *Spool) retire() {
	if g := s.active; g != nil && g.check(s.disk) == nil {
		_ = g.finish()
	}
	s.active = nil
}

// segmentSize is 0, and so as small as can be, where nothing is to be put.
func (s *Spool) segmentSize() int64 {
	if s.existing {
		return 0
	}
	return cmp.Or(s.cfg.segment, min(max(segmentBytes, s.cfg.MaxBytes/segmentsOpen), maxSegmentBytes))
}

// mark is a state that is to be written.
type mark struct {
	place
	sequence uint64
	state    state
	attempts int
}

// writeMarks writes states in place, and syncs each segment once.
func writeMarks(marks []mark) (err error) {
	touched := make(map[*segment]bool)
	for _, m := range marks {
		if failed := m.segment.mark(m.offset, m.sequence, m.state, m.attempts); failed != nil {
			err = errors.Join(failed, err)
			break
		}
		touched[m.segment] = true
	}
	for g := range touched {
		err = errors.Join(err, g.file.Sync())
	}
	return err
}

// forgetEvery is between two tries to remove what a disk did not let be removed.
const forgetEvery = time.Second

// retryRemovals marks what was to be removed before and is not marked yet.
func (s *Spool) retryRemovals() {
	if len(s.unmarked) == 0 || time.Since(s.retried) < forgetEvery {
		return
	}
	s.retried = time.Now()
	var marks []mark
	for _, r := range s.unmarked {
		marks = append(marks, mark{r.place, r.sequence, stateSent, 0})
	}
	if writeMarks(marks) == nil {
		clear(s.unmarked)
	}
}

// sweep deletes the segments in which nothing waits, once what leaves before them
// has left for good: of what was copied forward the copy must not go first. The last
// segment stays, because it says which sequences were given out.
func (s *Spool) sweep() {
	if s.dispose() != nil {
		return
	}
	s.mu.Lock()
	empty := slices.Clone(s.segments)
	empty = slices.DeleteFunc(empty, func(g *segment) bool { return g.live > 0 || g == s.lastSegment() })
	s.mu.Unlock()
	for _, g := range empty {
		s.leave(g, "")
	}
	_ = s.dispose() // or it is tried again
}

// leave has the file of a segment go, of which nothing is needed any more: under
// another name, or else it is deleted.
func (s *Spool) leave(g *segment, keptAs string) {
	s.leaving[g] = keptAs
	maps.DeleteFunc(s.unmarked, func(_ uint64, r *record) bool { return r.segment == g })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = slices.DeleteFunc(s.segments, func(other *segment) bool { return other == g })
}

// dispose has the files that leave gone for good.
func (s *Spool) dispose() (err error) {
	for g, keptAs := range s.leaving {
		if failed := s.depart(g, keptAs); failed != nil {
			err = fmt.Errorf("remove a segment: %w", failed)
			continue
		}
		delete(s.leaving, g)
		s.unsynced = true
	}
	if s.unsynced && err == nil {
		err = s.disk.sync()
		s.unsynced = err != nil
	}
	return err
}

// depart has the file go from its path. That of another that has taken the name is
// left alone.
func (s *Spool) depart(g *segment, keptAs string) error {
	if g.file == nil { // what is not a file was not opened
		return s.disk.rename(g.name(), keptAs)
	}
	_, err := s.disk.check(g.name(), g.file)
	switch {
	case errors.Is(err, errReplaced), errors.Is(err, fs.ErrNotExist):
		err = nil
	case err != nil:
	case keptAs != "":
		err = s.disk.rename(g.name(), keptAs)
	default:
		err = s.disk.remove(g.name())
	}
	if err == nil {
		g.file.Close()
	}
	return err
}

// lastSegment is the active segment, or else the one with the highest number, or nil.
func (s *Spool) lastSegment() *segment {
	if s.active != nil || len(s.segments) == 0 {
		return s.active
	}
	return s.segments[len(s.segments)-1]
}

// renew replaces the last segment once nothing waits in it, so that nothing that
// was sent stays on the disk. Without room for two, the old one goes first.
func (s *Spool) renew() {
	g := s.lastSegment()
	if g == nil || g.end == headerBytes || s.Fault() != nil {
		return
	}
	s.mu.Lock()
	waits := g.live > 0
	s.mu.Unlock()
	if waits {
		return
	}
	err := s.turn(0)
	if noRoom(err) && s.dispose() == nil {
		s.retire()
		s.leave(g, "")
		_ = s.dispose()
		_ = s.turn(0) // or with the next entry
	}
	s.sweep()
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
	err := s.dispose() // a copy that is of no effect must not outlive the original
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		s.log.Debug("cannot compact the spool", "err", err)
	}
}

// emptiest is the segment that is worth copying forward, or nil.
func (s *Spool) emptiest() (least *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var total int64
	for _, g := range s.segments {
		total += g.size
		if g != s.active && (least == nil || g.size-g.live > least.size-least.live) {
			least = g
		}
	}
	if total <= 2*s.index.bytes+spareSegments*s.segmentSize() {
		return nil
	}
	return least
}
