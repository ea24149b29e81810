package main

import (
	"bytes"
	"io"
	"testing"
)

// memory is an image in memory.
type memory []byte

func (m memory) ReadAt(b []byte, offset int64) (int, error)  { return copy(b, m[offset:]), nil }
func (m memory) WriteAt(b []byte, offset int64) (int, error) { return copy(m[offset:], b), nil }

const sectors = 200

// written is a disk full of ones, of which none is flushed.
func written(t *testing.T) (*disk, memory) {
	t.Helper()
	image := make(memory, sectors*sector)
	d := newDisk(image, int64(len(image)))
	if err := d.write(0, bytes.Repeat([]byte{1}, len(image))); err != nil {
		t.Fatal(err)
	}
	return d, image
}

func cut(t *testing.T, d *disk, what loss) int {
	t.Helper()
	lost, err := d.cut(what)
	if err != nil {
		t.Fatal(err)
	}
	return lost
}

func TestCut_LosesWhatWasNotFlushed(t *testing.T) {
	d, image := written(t)
	if lost := cut(t, d, loseAll); lost != sectors || bytes.Contains(image, []byte{1}) {
		t.Errorf("%d of %d sectors are lost, and the image has %d ones", lost, sectors, bytes.Count(image, []byte{1}))
	}
}

func TestCut_KeepsWhatWasFlushed(t *testing.T) {
	d, image := written(t)
	if err := d.flush(); err != nil {
		t.Fatal(err)
	}
	if err := d.write(0, make([]byte, 2*sector)); err != nil {
		t.Fatal(err)
	}
	if lost := cut(t, d, loseAll); lost != 2 || bytes.Contains(image, []byte{0}) {
		t.Errorf("%d sectors are lost, and the image has %d zeros", lost, bytes.Count(image, []byte{0}))
	}
}

func TestCut_KeepsRandomSectorsAsAWhole(t *testing.T) {
	for range 1000 {
		d, image := written(t)
		lost := cut(t, d, loseRandom)
		for i := 0; i < len(image); i += sector {
			if n := bytes.Count(image[i:i+sector], []byte{1}); n != 0 && n != sector {
				t.Fatalf("%d bytes of a sector are kept", n)
			}
		}
		if lost > 0 && lost < sectors {
			return
		}
	}
	t.Error("no cut lost a part")
}

func TestCut_KeepsTheSuperblockAsAWhole(t *testing.T) {
	for range 1000 {
		d, image := written(t)
		cut(t, d, loseRandom)
		super := image[firstOfSuper*sector : (lastOfSuper+1)*sector]
		if n := bytes.Count(super, []byte{1}); n != 0 && n != len(super) {
			t.Fatalf("%d bytes of it are kept", n)
		}
	}
}

func TestFlush_OfADiskThatLiesKeepsNothing(t *testing.T) {
	d, image := written(t)
	d.lies = true
	if err := d.flush(); err != nil {
		t.Fatal(err)
	}
	if lost := cut(t, d, loseAll); lost != sectors || bytes.Contains(image, []byte{1}) {
		t.Errorf("%d of %d sectors are lost", lost, sectors)
	}
}

func TestCut_LeavesADiskThatAnswersNothing(t *testing.T) {
	d, _ := written(t)
	cut(t, d, loseAll)
	if d.mu.TryLock() {
		t.Error("the disk can still be read")
	}
}

func TestRead_HasWhatWasWrittenLast(t *testing.T) {
	d, _ := written(t)
	if err := d.flush(); err != nil {
		t.Fatal(err)
	}
	own := bytes.Repeat([]byte{2}, sector)
	if err := d.write(sector, own); err != nil {
		t.Fatal(err)
	}
	clear(own) // the disk has a copy
	b, err := d.read(sector, 2*sector)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Count(b, []byte{2}) != sector || bytes.Count(b, []byte{1}) != sector {
		t.Errorf("%d twos and %d ones are read", bytes.Count(b, []byte{2}), bytes.Count(b, []byte{1}))
	}
	if b, err := d.read((sectors-1)*sector, 2*sector); err != nil || len(b) != sector {
		t.Errorf("%d bytes are read at the end: %v", len(b), err)
	}
}

func TestWrite_RefusesAPartOfASector(t *testing.T) {
	d, _ := written(t)
	for _, c := range []struct {
		name   string
		offset int64
		length int
	}{{"a part", 0, 100}, {"between two", 100, sector}, {"behind the end", sectors * sector, sector}} {
		if err := d.write(c.offset, make([]byte, c.length)); err == nil {
			t.Errorf("%s is written", c.name)
		}
	}
}

// broken is an image on a disk that fails.
type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error)  { return 0, io.ErrUnexpectedEOF }
func (broken) WriteAt([]byte, int64) (int, error) { return 0, io.ErrShortWrite }

func TestFlush_ReportsAnImageThatFails(t *testing.T) {
	d := newDisk(broken{}, sector)
	if err := d.write(0, make([]byte, sector)); err != nil {
		t.Fatal(err)
	}
	if err := d.flush(); err == nil {
		t.Error("the flush succeeds")
	}
	if _, err := d.read(0, sector); err == nil {
		t.Error("the read succeeds")
	}
}
