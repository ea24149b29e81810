package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sine-relay/sine-relay/internal/atomicfile"
)

// osDisk is a directory of the operating system.
type osDisk struct{ dir string }

// osFile is a file with its identity: its number is not given to another one while
// it is open.
type osFile struct {
	*os.File
	info os.FileInfo
}

// Close gives the file free at once, also while a process that was forked has it, too.
func (f osFile) Close() error {
	unlock(f.File)
	return f.File.Close()
}

func (d osDisk) path(name string) string { return filepath.Join(d.dir, name) }

func (d osDisk) list() ([]string, error) {
	entries, err := os.ReadDir(d.dir)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

func (d osDisk) create(name string, size int64) (file, error) {
	f, err := d.openFile(name, os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	if err := allocate(f.File, size); err != nil {
		return nil, errors.Join(fmt.Errorf("allocate %d bytes for %s: %w", size, f.Name(), err), f.Close(), d.remove(name))
	}
	return f, nil
}

func (d osDisk) open(name string) (file, error) {
	// Not to wait for the other end of a pipe, and not to follow a link to a file
	// whose directory is not synced.
	f, err := d.openFile(name, openFlags)
	if err != nil {
		if info, infoErr := os.Lstat(d.path(name)); infoErr == nil && info.IsDir() {
			err = errNotAFile
		}
		return nil, err
	}
	return f, nil
}

func (d osDisk) openFile(name string, flags int) (f osFile, err error) {
	f.File, err = os.OpenFile(d.path(name), os.O_RDWR|flags, 0o600)
	if err != nil {
		return f, err
	}
	f.info, err = f.Stat()
	switch {
	case err != nil:
	case !f.info.Mode().IsRegular():
		err = errNotAFile
	default:
		err = flock(f.File)
	}
	if err != nil {
		f.Close()
	}
	return f, err
}

func (d osDisk) check(name string, f file) (int64, error) {
	now, err := os.Lstat(d.path(name))
	if err != nil {
		return 0, err
	}
	if !os.SameFile(f.(osFile).info, now) {
		return 0, fmt.Errorf("%s: %w", d.path(name), errReplaced)
	}
	return now.Size(), nil
}

func (d osDisk) rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }
func (d osDisk) remove(name string) error     { return os.Remove(d.path(name)) }
func (d osDisk) sync() error                  { return atomicfile.SyncDir(d.dir) }

func (d osDisk) space() (free, size int64, err error) { return diskSpace(d.dir) }

// lockName is the file whose lock keeps others out of the directory. It is taken
// before anything is read.
const lockName = "spool.lock"

func (d osDisk) lock() (dirLock, error) {
	_, statErr := os.Stat(d.dir)
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, err
	}
	if errors.Is(statErr, fs.ErrNotExist) {
		if err := atomicfile.SyncDir(filepath.Dir(filepath.Clean(d.dir))); err != nil {
			return nil, err
		}
	}
	f, err := d.openFile(lockName, os.O_CREATE|openFlags)
	if errors.Is(err, errNotAFile) {
		return nil, &fs.PathError{Op: "lock", Path: d.path(lockName), Err: err}
	}
	if err != nil {
		return nil, err
	}
	l := osLock{d, f}
	if err := l.inPlace(); err != nil { // it may have been removed in between
		l.release()
		return nil, err
	}
	return l, nil
}

type osLock struct {
	disk osDisk
	file osFile
}

func (l osLock) inPlace() error {
	_, err := l.disk.check(lockName, l.file)
	return err
}

func (l osLock) release() { l.file.Close() }

// writeZeros makes a file take up room where the system cannot allocate it: one that
// is only made long takes up none.
func writeZeros(f *os.File, size int64) error {
	zeros := make([]byte, min(size, 1<<20))
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return err
		}
	}
	return nil
}
