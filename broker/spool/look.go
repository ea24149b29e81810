package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// contents is what a file was found to hold.
type contents struct {
	records  []*record
	attempts map[uint64]int
	last     uint64
	buckets  int
	// value, where it is set, is given all that is stored.
	value func(bucket, key, value []byte) error
}

// examine reads the file of a spool from end to end and leaves it as it is.
func examine(cfg Config) (*contents, *Damage, error) {
	path := file(cfg.Dir)
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%w: %s is not a regular file", ErrDamaged, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	// What somebody writes to while it is read would be taken for damaged.
	if err := unused(f); err != nil {
		return nil, nil, err
	}
	found := &contents{}
	if err := found.load(f, info.Size()); err != nil {
		return nil, nil, fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	}
	return found, nil, nil
}

// load takes in the newest state, and returns an error when there is anything
// in the file that bbolt may stumble over.
func (c *contents) load(f io.ReaderAt, size int64) error {
	metas, err := readMetas(f)
	if err != nil {
		return err
	}
	newest := metas[len(metas)-1]
	if newest.pages > uint64(size/pageSize) {
		return fmt.Errorf("%d pages are missing at the end", newest.pages-uint64(size/pageSize))
	}
	if err := c.walk(f, newest); err != nil {
		return err
	}
	if c.buckets != 2 {
		return errors.New("not a spool")
	}
	return nil
}

// readMetas returns the valid meta pages, the newest last. bbolt goes on when
// one of the two is damaged, and silently loses the last commit if that was the
// newer.
func readMetas(f io.ReaderAt) (metas []meta, err error) {
	for page := range int64(2) {
		m, fault := readMeta(f, page)
		if fault != nil {
			err = errors.Join(err, fault)
			continue
		}
		metas = append(metas, m)
	}
	slices.SortFunc(metas, func(a, b meta) int { return int(int64(a.transaction) - int64(b.transaction)) })
	return metas, err
}

// walk takes in one state.
func (c *contents) walk(f io.ReaderAt, m meta) error {
	c.attempts = make(map[uint64]int)
	w := &walk{file: f, meta: m, leaf: c.leaf, sequence: c.sequence}
	err := w.run()
	for _, r := range c.records {
		r.attempts = max(r.attempts, c.attempts[r.sequence])
	}
	return err
}

func (c *contents) sequence(bucket []byte, last uint64) error {
	if !bytes.Equal(bucket, bucketEntries) && !bytes.Equal(bucket, bucketAttempts) {
		return errors.New("bucket: not a spool's")
	}
	c.buckets++
	c.last = max(c.last, last)
	return nil
}

func (c *contents) leaf(bucket, k, value []byte) error {
	if len(k) != keySize {
		return errors.New("a key has the wrong length")
	}
	sequence := sequenceOf(k)
	if bytes.Equal(bucket, bucketEntries) {
		e, err := decode(sequence, value)
		if err != nil {
			return fmt.Errorf("entry %d: %w", sequence, err)
		}
		r := recordOf(e, len(value))
		r.sequence = sequence
		c.records = append(c.records, r)
		c.last = max(c.last, sequence)
	} else if len(value) != keySize {
		return fmt.Errorf("attempts of entry %d have the wrong length", sequence)
	} else {
		c.attempts[sequence] = int(sequenceOf(value))
	}
	if c.value != nil {
		return c.value(bucket, k, value)
	}
	return nil
}

// exists reports whether there is a spool in the directory.
func exists(dir string) error {
	_, err := os.Stat(file(dir))
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(draft(dir))
	}
	return err
}
