package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

// sector is what a disk writes as a whole or not at all.
const sector = 512

// The superblock of ext4 is these two sectors, with one checksum. It is written in place,
// and no file system survives when a part of it is: disks write 4 KiB as a whole.
const firstOfSuper, lastOfSuper = 2, 3

// image is what outlasts the loss of power.
type image interface {
	io.ReaderAt
	io.WriterAt
}

// disk has a volatile cache: a write is in memory until the next flush.
type disk struct {
	image image
	size  int64
	// flushTime passes before a flush takes effect, so that what is acknowledged
	// before its flush has returned can be lost.
	flushTime time.Duration
	// lies makes a flush do nothing, and report success.
	lies bool

	mu    sync.Mutex
	cache map[int64][]byte // by sector
}

func newDisk(i image, size int64) *disk {
	return &disk{image: i, size: size, cache: map[int64][]byte{}}
}

// read returns what was written last, flushed or not.
func (d *disk) read(offset int64, length int) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := make([]byte, min(int64(length), max(d.size-offset, 0)))
	if _, err := d.image.ReadAt(b, offset); err != nil {
		return nil, fmt.Errorf("read the image: %w", err)
	}
	for i := 0; i < len(b); i += sector {
		copy(b[i:], d.cache[(offset+int64(i))/sector])
	}
	return b, nil
}

// write takes whole sectors, and a copy of them.
func (d *disk) write(offset int64, data []byte) error {
	if offset%sector != 0 || len(data)%sector != 0 || offset+int64(len(data)) > d.size {
		return fmt.Errorf("write %d bytes at %d: not whole sectors of the disk", len(data), offset)
	}
	own := append([]byte(nil), data...)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := 0; i < len(own); i += sector {
		d.cache[(offset+int64(i))/sector] = own[i : i+sector]
	}
	return nil
}

// flush returns once everything that was written before it is in the image.
func (d *disk) flush() error {
	time.Sleep(d.flushTime)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lies {
		return nil
	}
	for number := range d.cache {
		if err := d.keep(number); err != nil {
			return err
		}
	}
	return nil
}

func (d *disk) keep(number int64) error {
	if _, err := d.image.WriteAt(d.cache[number], number*sector); err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	delete(d.cache, number)
	return nil
}

// loss is what becomes of the sectors that were not flushed.
type loss string

const (
	loseAll    loss = "all"
	loseRandom loss = "random" // each with the same chance, which differs from cut to cut
)

// cut is the loss of power. The disk stays locked: a call that waits for it, or comes
// later, never returns. It returns how many sectors were lost.
func (d *disk) cut(what loss) (sectors int, err error) {
	d.mu.Lock()
	chance := 1.0
	if what == loseRandom {
		chance = rand.Float64()
	}
	super := rand.Float64() < chance
	for number := range d.cache {
		lost := rand.Float64() < chance
		if number >= firstOfSuper && number <= lastOfSuper {
			lost = super
		}
		if lost {
			continue
		}
		if err := d.keep(number); err != nil {
			return 0, err
		}
	}
	return len(d.cache), nil
}
