package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync/atomic"
)

// segmentBytes is the size of a segment, unless a record is larger or the disk has
// less than four times as much. Spools of more than 1 GiB have larger ones, so that the process has
// a few hundred open at most.
const (
	segmentBytes    = 8 << 20
	maxSegmentBytes = 64 << 20
	segmentsOpen    = 128
	minSegmentBytes = 64 << 10
)

// segment is a file of the log that is open.
type segment struct {
	header
	file file
	end  int64 // where the next record begins; the committer's own
	live int64 // bytes of the entries that wait in it; guarded by the spool's mutex
	// suspect is why its content cannot be trusted any more, once that has shown.
	suspect atomic.Pointer[error]
}

func (g *segment) name() string { return segmentName(g.number) }

// place is where a record is.
type place struct {
	segment *segment
	offset  uint32
}

// createSegment makes the draft of a segment with room for so many bytes of records:
// of the size in the header, or less where the disk has too little.
func createSegment(d disk, h header, records int64) (*segment, error) {
	least := (records + headerBytes + 4095) &^ 4095
	if free, _, err := d.space(); err == nil && free > 0 { // a small disk is not taken up by what is empty
		h.size = min(h.size, max(free/4, minSegmentBytes))
	}
	h.size, h.id = max(h.size&^4095, least), rand.Uint64()|1
	draft := draftName(h.number)
	f, err := d.create(draft, h.size)
	for noRoom(err) && h.size > least {
		h.size = max(h.size/2&^4095, least)
		f, err = d.create(draft, h.size)
	}
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteAt(h.encode(), 0); err != nil {
		return nil, errors.Join(err, f.Close(), d.remove(draft))
	}
	return &segment{header: h, file: f, end: headerBytes}, nil
}

// publish syncs a draft, and then gives it its name.
func (g *segment) publish(d disk) error {
	err := g.file.Sync()
	if err == nil {
		err = d.rename(draftName(g.number), g.name())
	}
	if err == nil {
		err = d.sync()
	}
	return err
}

// check returns why the segment would not be found at its path as it was written, or
// nil.
func (g *segment) check(d disk) error {
	if err := g.suspect.Load(); err != nil {
		return *err
	}
	size, err := d.check(g.name(), g.file)
	if err != nil {
		return err
	}
	head := make([]byte, endOffset)
	if _, err := g.file.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if size < g.size || !bytes.Equal(head, g.encode()[:endOffset]) {
		g.distrust(fmt.Errorf("%w: %s was cut or overwritten", ErrDamaged, g.name()))
		return *g.suspect.Load()
	}
	return nil
}

// distrust has the segment read anew. The first reason stays.
func (g *segment) distrust(err error) { g.suspect.CompareAndSwap(nil, &err) }

// read returns the record at a place, of so many bytes.
func (g *segment) read(p place, size int64) ([]byte, error) {
	b := make([]byte, size)
	if _, err := g.file.ReadAt(b, int64(p.offset)); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if r, ok := decodeRecord(b); !ok || r.id != g.id {
		return nil, fmt.Errorf("%w: the record at %d of %s is not as it was written", ErrDamaged, p.offset, g.name())
	}
	return b, nil
}

// mark overwrites the state of a record.
func (g *segment) mark(offset uint32, sequence uint64, s state, attempts int) error {
	_, err := g.file.WriteAt(stateWord(g.id, sequence, s, attempts), int64(offset)+stateOffset)
	return err
}

// fill writes as many of the frames as fit into the segment as one batch, and syncs
// them. It returns how many that are.
func (g *segment) fill(frames []*frame) (n int, err error) {
	begin, at := g.end, g.end
	for n < len(frames) && at+int64(len(frames[n].value)) <= g.size && at-begin < batchBytes {
		f := frames[n]
		seal(f.value, g.id, f.sequence, begin, f.attempts)
		f.place = place{g, uint32(at)}
		at += int64(len(f.value))
		n++
	}
	batch := frames[0].value
	if n > 1 {
		batch = slices.Grow([]byte(nil), int(at-begin))
		for _, f := range frames[:n] {
			batch = append(batch, f.value...)
		}
	}
	if _, err := g.file.WriteAt(batch, begin); err != nil {
		return n, err
	}
	if err := g.file.Sync(); err != nil {
		return n, err
	}
	g.end = at
	return n, nil
}

// rewind has the segment begin anew, under another id: then its records do not count
// any more, whatever a crash leaves of the zeros that are written over them.
func (g *segment) rewind(last uint64) (*segment, error) {
	fresh := &segment{header: g.header, file: g.file, end: headerBytes}
	fresh.id, fresh.last = rand.Uint64()|1, last
	if _, err := g.file.WriteAt(fresh.encode(), 0); err != nil {
		return g, err
	}
	if err := g.file.Sync(); err != nil {
		return fresh, err
	}
	if _, err := g.file.WriteAt(make([]byte, g.end-headerBytes), headerBytes); err != nil {
		return fresh, err
	}
	return fresh, g.file.Sync()
}

// finish writes down how far the segment goes. Nothing is appended afterwards.
func (g *segment) finish() error {
	if _, err := g.file.WriteAt(word(g.id, endOffset, uint32(g.end)), endOffset); err != nil {
		return err
	}
	return g.file.Sync()
}
