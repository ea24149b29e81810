package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/sine-relay/sine-relay/broker/outbox/disk"
)

// ErrDamaged comes from what is not in a segment as it was written.
var ErrDamaged = errors.New("the segment is damaged")

const (
	// Bytes is the size of a segment that is neither of a large log nor for large
	// records, and MinBytes that of one on a disk with little room.
	Bytes    = 8 << 20
	MinBytes = 64 << 10
	// BatchBytes ends a batch, so that one commit stays short.
	BatchBytes = 4 << 20
)

// Segment is a file of a log that is open. One goroutine at a time writes to it; reading,
// checking and distrusting it is for any.
type Segment struct {
	Header
	file disk.File // nil for what is not a file
	end  int64     // where the next record begins
	// suspect is why its content cannot be trusted any more, once that has shown.
	suspect atomic.Pointer[error]
}

// Place is where a record is.
type Place struct {
	Segment *Segment
	Offset  uint32
}

// Frame is a record on its way into a segment.
type Frame struct {
	Sequence uint64
	Attempts int
	Value    []byte // as Encode returns it
	Place    Place  // where it is, once it was written
}

// Name is the name of its file.
func (g *Segment) Name() string { return Name(g.Number) }

// Create makes the draft of a segment with room for so many bytes of records: of the size
// in the header, or less where the disk has too little, and with an id of its own.
func Create(d disk.Disk, h Header, records int64) (*Segment, error) {
	least := (records + headerBytes + 4095) &^ 4095
	if free, _, err := d.Space(); err == nil && free > 0 { // a small disk is not taken up by what is empty
		h.Size = min(h.Size, max(free/4, MinBytes))
	}
	h.Size, h.ID = max(h.Size&^4095, least), rand.Uint64()|1
	draft := DraftName(h.Number)
	f, err := d.Create(draft, h.Size)
	for disk.IsFull(err) && h.Size > least {
		h.Size = max(h.Size/2&^4095, least)
		f, err = d.Create(draft, h.Size)
	}
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteAt(h.encode(), 0); err != nil {
		return nil, errors.Join(err, f.Close(), d.Remove(draft))
	}
	return &Segment{Header: h, file: f, end: headerBytes}, nil
}

// Publish syncs a draft, and then gives it its name.
func (g *Segment) Publish(d disk.Disk) error {
	err := g.file.Sync()
	if err == nil {
		err = g.PublishUnsynced(d)
	}
	if err == nil {
		err = d.Sync()
	}
	return err
}

// PublishUnsynced gives a draft its name, which need not outlast this machine.
func (g *Segment) PublishUnsynced(d disk.Disk) error {
	return d.Rename(DraftName(g.Number), g.Name())
}

// Open opens a segment of that name, and returns what is in it, be it damaged. It is to
// be read, and marked, but not appended to.
func Open(d disk.Disk, name string) (*Segment, Content, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, Content{}, err
	}
	size, err := d.Check(name, f)
	if err != nil {
		return nil, Content{}, errors.Join(err, f.Close())
	}
	g := &Segment{Header: Header{Number: Number(name), Size: size}, file: f}
	c, failed := g.Content()
	if c.Damage == nil && c.Number != g.Number {
		c.Damage = fmt.Errorf("it is segment %x", c.Number)
	}
	c.Damage = errors.Join(c.Damage, failed)
	g.ID, g.Last, g.end = c.ID, c.Last, headerBytes
	if n := len(c.Records); n > 0 {
		g.end = c.Records[n-1].Offset + c.Records[n-1].Size()
	}
	return g, c, nil
}

// IsFile reports whether there is a file, and not something else of its name.
func (g *Segment) IsFile() bool { return g.file != nil }

// Close closes the file.
func (g *Segment) Close() error {
	if g.file == nil {
		return nil
	}
	return g.file.Close()
}

// Free is how many bytes of records have room in it.
func (g *Segment) Free() int64 { return g.Size - g.end }

// IsEmpty reports whether no record was written to it since it began.
func (g *Segment) IsEmpty() bool { return g.end == headerBytes }

// InPlace returns why the file is not at its path, or nil.
func (g *Segment) InPlace(d disk.Disk) error {
	if g.file == nil {
		return nil
	}
	_, err := d.Check(g.Name(), g.file)
	return err
}

// Check returns why the segment would not be found at its path as it was written, or
// nil.
func (g *Segment) Check(d disk.Disk) error {
	if err := g.suspect.Load(); err != nil {
		return *err
	}
	size, err := d.Check(g.Name(), g.file)
	if err != nil {
		return err
	}
	head := make([]byte, endOffset)
	if _, err := g.file.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if size < g.Size || !bytes.Equal(head, g.encode()[:endOffset]) {
		g.Distrust(fmt.Errorf("%w: %s was cut or overwritten", ErrDamaged, g.Name()))
		return *g.suspect.Load()
	}
	return nil
}

// Distrust has the segment read anew. The first reason stays.
func (g *Segment) Distrust(err error) { g.suspect.CompareAndSwap(nil, &err) }

// IsSuspect reports whether the segment is distrusted.
func (g *Segment) IsSuspect() bool { return g.suspect.Load() != nil }

// Read returns the record at a place, of so many bytes.
func (g *Segment) Read(p Place, size int64) (Record, error) {
	b := make([]byte, size)
	if _, err := g.file.ReadAt(b, int64(p.Offset)); err != nil && !errors.Is(err, io.EOF) {
		return Record{}, err
	}
	r, ok := decodeRecord(b)
	if !ok || r.ID != g.ID {
		return Record{}, fmt.Errorf("%w: the record at %d of %s is not as it was written", ErrDamaged, p.Offset, g.Name())
	}
	return r, nil
}

// Fill writes as many of the frames as fit into the segment as one batch, and syncs
// them. It returns how many that are.
func (g *Segment) Fill(frames []*Frame) (n int, err error) {
	at := g.end
	for n < len(frames) && at+int64(len(frames[n].Value)) <= g.Size && at-g.end < BatchBytes {
		f := frames[n]
		g.Seal(f.Value, f.Sequence, f.Attempts)
		f.Place = Place{g, uint32(at)}
		at += int64(len(f.Value))
		n++
	}
	batch := frames[0].Value
	if n > 1 {
		batch = slices.Grow([]byte(nil), int(at-g.end))
		for _, f := range frames[:n] {
			batch = append(batch, f.Value...)
		}
	}
	if _, err := g.file.WriteAt(batch, g.end); err != nil {
		return n, err
	}
	if err := g.file.Sync(); err != nil {
		return n, err
	}
	g.end = at
	return n, nil
}

// Append writes records that were sealed for it, as one batch. It does not sync them.
func (g *Segment) Append(records []byte) error {
	if _, err := g.file.WriteAt(records, g.end); err != nil {
		return err
	}
	g.end += int64(len(records))
	return nil
}

// Probe writes what is there already, to try the disk.
func (g *Segment) Probe() error {
	if _, err := g.file.WriteAt(g.encode()[:endOffset], 0); err != nil {
		return err
	}
	return g.file.Sync()
}

// Rewind has the segment begin anew, under another id: then its records do not count any
// more, whatever a crash leaves of the zeros that are written over them. What it returns
// takes the place of the segment, and is not appended to after an error.
func (g *Segment) Rewind(last uint64) (*Segment, error) {
	fresh := &Segment{Header: g.Header, file: g.file, end: headerBytes}
	fresh.ID, fresh.Last = rand.Uint64()|1, last
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

// Finish writes down how far the segment goes. Nothing is appended afterwards.
func (g *Segment) Finish() error {
	if _, err := g.file.WriteAt(word(g.ID, endOffset, uint32(g.end)), endOffset); err != nil {
		return err
	}
	return g.file.Sync()
}
