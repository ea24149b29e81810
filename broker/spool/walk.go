package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// walk reads all of a tree, and passes over what is damaged in it.
type walk struct {
	file io.ReaderAt
	meta meta
	seen []uint64 // a bit for each page
	// leaf is given each key of a bucket; what it refuses is a fault.
	leaf func(bucket, key, value []byte) error
	// sequence is given the sequence of each bucket.
	sequence func(bucket []byte, last uint64) error
	faults   []error
}

func (w *walk) fault(format string, args ...any) {
	// The first ones say enough.
	if len(w.faults) < 8 {
		w.faults = append(w.faults, fmt.Errorf(format, args...))
	}
}

// run walks through the tree that a meta page names.
func (w *walk) run() error {
	w.seen = make([]uint64, w.meta.pages/64+1)
	w.tree(nil, w.meta.root, nil, nil, 0)
	if free := w.meta.freelist; free != noFreelist {
		// bbolt writes one into a new file only, and it is empty.
		if b, err := w.page(free); err != nil {
			w.fault("free list: %w", err)
		} else if native.Uint16(b[8:]) != 0x10 || native.Uint16(b[10:]) != 0 {
			w.fault("page %d: not an empty free list", free)
		}
	}
	return errors.Join(w.faults...)
}

// tree walks through a page and what is below it: of the bucket with that name,
// or of the root, which holds the buckets. All keys must be within the bounds
// that the branches above set, or bbolt would look for them elsewhere.
func (w *walk) tree(bucket []byte, id uint64, low, high []byte, depth int) {
	b, err := w.page(id)
	if err != nil {
		w.fault("%w", err)
		return
	}
	all, err := elements(b)
	if err == nil {
		err = ordered(all, low, high)
	}
	if err == nil && depth > maxDepth {
		err = errors.New("too deep")
	}
	if err != nil {
		w.fault("page %d %w", id, err)
		return
	}
	for i, e := range all {
		if native.Uint16(b[8:]) == flagLeaf {
			w.value(bucket, e)
			continue
		}
		until := high
		if i+1 < len(all) {
			until = all[i+1].key
		}
		w.tree(bucket, e.child, e.key, until, depth+1)
	}
}

func ordered(all []element, low, high []byte) error {
	for i, e := range all {
		if i > 0 && bytes.Compare(all[i-1].key, e.key) >= 0 ||
			low != nil && bytes.Compare(e.key, low) < 0 ||
			high != nil && bytes.Compare(e.key, high) >= 0 {
			return fmt.Errorf("has element %d out of order", i)
		}
	}
	return nil
}

func (w *walk) value(bucket []byte, e element) {
	switch {
	case bucket != nil && !e.bucket:
		if err := w.leaf(bucket, e.key, e.value); err != nil {
			w.fault("%w", err)
		}
	case bucket == nil && e.bucket && len(e.value) >= headSize:
		w.bucket(e)
	default:
		w.fault("a key is no part of a spool")
	}
}

// bucket walks through a bucket, which is a tree of its own or, when it is
// small, a page within the value.
func (w *walk) bucket(e element) {
	if err := w.sequence(e.key, native.Uint64(e.value[8:])); err != nil {
		w.fault("%w", err)
		return
	}
	if root := native.Uint64(e.value); root != 0 {
		w.tree(e.key, root, nil, nil, 1)
		return
	}
	b := e.value[headSize:]
	if len(b) < headSize || native.Uint16(b[8:]) != flagLeaf {
		w.fault("bucket: no page")
		return
	}
	all, err := elements(b)
	if err == nil {
		err = ordered(all, nil, nil)
	}
	if err != nil {
		w.fault("bucket: page %w", err)
		return
	}
	for _, inner := range all {
		w.value(e.key, inner)
	}
}

// page reads a page with its overflow. Each belongs to one place in the tree.
func (w *walk) page(id uint64) ([]byte, error) {
	b, err := readPage(w.file, id, w.meta.pages)
	if err != nil {
		return nil, err
	}
	for p := id; p < id+uint64(len(b)/pageSize); p++ {
		if w.seen[p/64]&(1<<(p%64)) != 0 {
			return nil, fmt.Errorf("page %d: in two places", p)
		}
		w.seen[p/64] |= 1 << (p % 64)
	}
	return b, nil
}
