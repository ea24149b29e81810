package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// The names of the buckets tell a spool from other bbolt files, and carry the
// version of the layout.
var (
	bucketEntries  = []byte("sine-relay.spool.v1.entries")
	bucketAttempts = []byte("sine-relay.spool.v1.attempts")
)

// pageSize is the same everywhere, so that a volume may move to a machine whose
// own pages are larger.
const pageSize = 4096

// shrinkBytes is the size from which an empty file is replaced by a new one.
const shrinkBytes = 4 << 20

func file(dir string) string { return filepath.Join(dir, "spool.db") }

// A file is made under another name before it takes its place: draft when it is
// to replace one, and first when there is none.
func draft(dir string) string { return filepath.Join(dir, "spool.db.new") }
func first(dir string) string { return filepath.Join(dir, "spool.db.first") }

// claim makes the directory and locks it.
func claim(dir string) (*dirLock, error) {
	_, statErr := os.Stat(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if errors.Is(statErr, fs.ErrNotExist) {
		if err := syncDir(filepath.Dir(filepath.Clean(dir))); err != nil {
			return nil, err
		}
	}
	return lock(filepath.Join(dir, "lock"))
}

// identity is which file was opened at a path.
type identity struct {
	path string
	file *os.File
	info os.FileInfo
}

// inPlace returns why the file that is open is not at its path any more, or nil.
// The file's number is not given to another one while it is open.
func (i identity) inPlace() error {
	now, err := os.Stat(i.path)
	if err == nil && !os.SameFile(i.info, now) {
		err = fmt.Errorf("%s is not the file that is open", i.path)
	}
	return err
}

// openFile opens a file that was found fit, or an absent one.
func openFile(path string) (db *bolt.DB, opened identity, err error) {
	err = guarded(func() error {
		db, err = bolt.Open(path, 0o600, &bolt.Options{
			OpenFile: func(path string, flag int, mode os.FileMode) (*os.File, error) {
				f, err := os.OpenFile(path, flag, mode)
				if err == nil {
					opened.path, opened.file = path, f
					opened.info, err = f.Stat()
				}
				return f, err
			},
			// Long enough for one attempt at the lock, too short for a second.
			Timeout:        time.Nanosecond,
			PageSize:       pageSize,
			NoFreelistSync: true,
			FreelistType:   bolt.FreelistMapType,
		})
		return err
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		err = ErrInUse
	}
	if err != nil {
		return nil, identity{}, err
	}
	return db, opened, nil
}

// create makes a file with empty buckets that gives out sequences after last,
// and lets fill put something in. See install.
func create(path string, last uint64, fill func(*bolt.DB) error) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	db, _, err := openFile(path)
	if err != nil {
		return err
	}
	err = guarded(func() error {
		return db.Update(func(tx *bolt.Tx) error {
			entries, err := tx.CreateBucketIfNotExists(bucketEntries)
			if err != nil {
				return err
			}
			if _, err := tx.CreateBucketIfNotExists(bucketAttempts); err != nil {
				return err
			}
			return entries.SetSequence(last)
		})
	})
	if err == nil {
		err = fill(db)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return errors.Join(fmt.Errorf("make %s: %w", path, err), os.Remove(path))
	}
	return nil
}

// install gives a file that was made the name of the spool's. It replaces none:
// one that came meanwhile may hold messages.
func install(dir, path string) error {
	err := os.Link(path, file(dir))
	switch {
	case errors.Is(err, fs.ErrExist):
		return err
	case err != nil: // there are no links on this disk
		err = os.Rename(path, file(dir))
	default:
		err = os.Remove(path)
	}
	return errors.Join(err, syncDir(dir))
}

// replace sets a file that was made in the place of the spool's.
func replace(dir, path string) error {
	return errors.Join(os.Rename(path, file(dir)), syncDir(dir))
}

func nothing(*bolt.DB) error { return nil }
