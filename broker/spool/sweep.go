package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
)

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

// renew empties the last segment once nothing waits in it, so that nothing that was
// sent stays on the disk, be it full.
func (s *Spool) renew() {
	g := s.lastSegment()
	if g == nil || g.end == headerBytes || s.Fault() != nil || s.dispose() != nil {
		return
	}
	s.mu.Lock()
	waits, last := g.live > 0, s.last
	s.mu.Unlock()
	if waits {
		return
	}
	fresh, err := g.rewind(last)
	if err == nil && s.active == g {
		s.active = fresh
	} else {
		s.active = nil // and it is deleted once there is another
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments[slices.Index(s.segments, g)] = fresh
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
