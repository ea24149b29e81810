package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sine-relay/sine-relay/internal/atomicfile"
)

// system is a directory of the operating system.
type system struct{ dir string }

// In returns a directory of the operating system. It need not exist yet.
func In(dir string) Disk { return system{dir} }

// systemFile is a file with its identity: its number is not given to another one while
// it is open.
type systemFile struct {
	*os.File
	info os.FileInfo
}

// Close gives the file free at once, also while a process that was forked has it, too.
func (f systemFile) Close() error {
	unlock(f.File)
	return f.File.Close()
}

func (d system) path(name string) string { return filepath.Join(d.dir, name) }

func (d system) List() ([]string, error) {
	entries, err := os.ReadDir(d.dir)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

func (d system) Create(name string, size int64) (File, error) {
	f, err := d.openFile(name, os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	if err := allocate(f.File, size); err != nil {
		return nil, errors.Join(fmt.Errorf("allocate %d bytes for %s: %w", size, f.Name(), err), f.Close(), d.Remove(name))
	}
	return f, nil
}

func (d system) Open(name string) (File, error) {
	// Not to wait for the other end of a pipe, and not to follow a link to a file
	// whose directory is not synced.
	f, err := d.openFile(name, openFlags)
	if err != nil {
		if info, infoErr := os.Lstat(d.path(name)); infoErr == nil && info.IsDir() {
			err = ErrNotAFile
		}
		return nil, err
	}
	return f, nil
}

func (d system) openFile(name string, flags int) (f systemFile, err error) {
	f.File, err = os.OpenFile(d.path(name), os.O_RDWR|flags, 0o600)
	if err != nil {
		return f, err
	}
	f.info, err = f.Stat()
	switch {
	case err != nil:
	case !f.info.Mode().IsRegular():
		err = ErrNotAFile
	default:
		err = flock(f.File)
	}
	if err != nil {
		f.Close()
	}
	return f, err
}

func (d system) Check(name string, f File) (int64, error) {
	now, err := os.Lstat(d.path(name))
	if err != nil {
		return 0, err
	}
	if !os.SameFile(f.(systemFile).info, now) {
		return 0, fmt.Errorf("%s: %w", d.path(name), ErrReplaced)
	}
	return now.Size(), nil
}

func (d system) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }
func (d system) Remove(name string) error     { return os.Remove(d.path(name)) }
func (d system) Sync() error                  { return atomicfile.SyncDir(d.dir) }

func (d system) Space() (free, size int64, err error) { return Space(d.dir) }

// LockName is the file whose lock keeps others out of the directory. Its user takes it
// before anything is read.
const LockName = "spool.lock"

func (d system) Lock() (Lock, error) {
	_, statErr := os.Stat(d.dir)
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, err
	}
	if errors.Is(statErr, fs.ErrNotExist) {
		if err := atomicfile.SyncDir(filepath.Dir(filepath.Clean(d.dir))); err != nil {
			return nil, err
		}
	}
	f, err := d.openFile(LockName, os.O_CREATE|openFlags)
	if errors.Is(err, ErrNotAFile) {
		return nil, &fs.PathError{Op: "lock", Path: d.path(LockName), Err: err}
	}
	if err != nil {
		return nil, err
	}
	l := systemLock{d, f}
	if err := l.InPlace(); err != nil { // it may have been removed in between
		l.Release()
		return nil, err
	}
	return l, nil
}

type systemLock struct {
	disk system
	file systemFile
}

func (l systemLock) InPlace() error {
	_, err := l.disk.Check(LockName, l.file)
	return err
}

func (l systemLock) Release() { l.file.Close() }

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
