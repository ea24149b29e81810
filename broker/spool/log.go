package spool

import (
	"cmp"
	"errors"
	"fmt"
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

func (s *Spool) segmentSize() int64 {
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
