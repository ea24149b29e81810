package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Damage is what was found when a file was opened, and what was done.
type Damage struct {
	// Path is where the file was moved to. It is never deleted. It is empty where
	// somebody else has removed the file.
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

// prepare sees to it that there is a file that bbolt can be trusted with.
func prepare(cfg Config) (*contents, *Damage, error) {
	if err := adopt(cfg.Dir); err != nil {
		return nil, nil, err
	}
	found, _, err := examine(cfg)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &contents{}, nil, begin(cfg.Dir)
	case errors.Is(err, ErrDamaged):
		return moveAside(cfg, err)
	case err != nil:
		return nil, nil, err
	}
	if len(found.records) == 0 {
		shrink(cfg, found.last)
	}
	return found, nil, nil
}

// begin makes the first file.
func begin(dir string) error {
	if err := create(first(dir), 0, nothing); err != nil {
		return err
	}
	return install(dir, first(dir))
}

// adopt finishes what a crash between two renames left undone: a draft without
// a file is complete, since drafts are made while there is a file.
func adopt(dir string) error {
	if _, err := os.Lstat(file(dir)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch _, err := os.Lstat(draft(dir)); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return install(dir, draft(dir))
}

// shrink replaces a large file that holds nothing.
func shrink(cfg Config, last uint64) {
	info, err := os.Stat(file(cfg.Dir))
	if err != nil || info.Size() < shrinkBytes {
		return
	}
	err = create(draft(cfg.Dir), last, nothing)
	if err == nil {
		err = replace(cfg.Dir, draft(cfg.Dir))
	}
	if err != nil {
		cfg.Logger.Warn("cannot compact the spool file", "err", err)
	}
}

// moveAside puts a new file in the place of one that cannot be trusted, with
// all that can be read of it. Until the new one is complete nothing is touched.
func moveAside(cfg Config, cause error) (*contents, *Damage, error) {
	old := &contents{}
	if err := create(draft(cfg.Dir), 0, func(db *bolt.DB) error { return old.rescue(cfg.Dir, db) }); err != nil {
		cfg.Logger.Error("cannot recover messages from the damaged spool", "err", err)
		if err := create(draft(cfg.Dir), 0, nothing); err != nil {
			return nil, nil, err
		}
	}
	aside := file(cfg.Dir) + ".damaged-" + time.Now().UTC().Format("20060102T150405.000000000Z")
	if err := os.Rename(file(cfg.Dir), aside); err != nil {
		return nil, nil, err
	}
	if err := install(cfg.Dir, draft(cfg.Dir)); err != nil {
		return nil, nil, err
	}
	found, _, err := examine(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("new spool: %w", err)
	}
	d := &Damage{Path: aside, Cause: cause, Rescued: len(found.records)}
	cfg.Logger.Error("the spool was damaged and is moved aside", "path", aside, "rescued", d.Rescued, "err", cause)
	return found, d, nil
}

// rescue copies all that can be read into db. Of the two states that the file
// may hold, the older may have what is damaged in the newer; it comes first, so
// that the newer prevails. What neither leads to comes last.
func (c *contents) rescue(dir string, db *bolt.DB) error {
	info, err := os.Stat(file(dir))
	if err != nil || !info.Mode().IsRegular() {
		return err // to open a pipe would wait for a writer
	}
	f, err := os.Open(file(dir))
	if err != nil {
		return err
	}
	defer f.Close()
	out := &carrier{db: db}
	c.value = out.carry
	metas, _ := readMetas(f)
	for _, m := range metas {
		m.pages = min(m.pages, uint64(info.Size()/pageSize))
		// Its faults are known and cannot be helped.
		_ = c.walk(f, m)
	}
	c.salvage(f, uint64(info.Size()/pageSize))
	return out.flush(c.last)
}

// carrier writes in large transactions what it is given, and removes what has no
// value.
type carrier struct {
	db     *bolt.DB
	pairs  [][3][]byte
	bytes  int
	failed error
}

func (c *carrier) carry(bucket, key, value []byte) error {
	// Pages are read into memory of their own, so these may be kept.
	c.pairs = append(c.pairs, [3][]byte{bucket, key, value})
	if c.bytes += len(value); c.bytes >= batchBytes {
		return c.flush(0)
	}
	return nil
}

// flush returns the first error there ever was.
func (c *carrier) flush(last uint64) error {
	if c.failed != nil {
		return c.failed
	}
	c.failed = guarded(func() error {
		return c.db.Update(func(tx *bolt.Tx) error {
			for _, p := range c.pairs {
				change := tx.Bucket(p[0]).Put
				if p[2] == nil {
					change = func(key, _ []byte) error { return tx.Bucket(p[0]).Delete(key) }
				}
				if err := change(p[1], p[2]); err != nil {
					return err
				}
			}
			return tx.Bucket(bucketEntries).SetSequence(max(last, tx.Bucket(bucketEntries).Sequence()))
		})
	})
	c.pairs, c.bytes = nil, 0
	return c.failed
}
