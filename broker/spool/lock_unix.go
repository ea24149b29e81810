//go:build unix

package spool

import (
	"errors"
	"os"
	"syscall"
)

// dirLock keeps others out of the directory. bbolt's own lock would not do: it
// comes with the opening of a file that was not looked at yet. The lock goes
// with the process.
type dirLock struct{ identity }

func lock(path string) (*dirLock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = flock(f, syscall.LOCK_EX)
	l := &dirLock{identity{path: path, file: f}}
	if err == nil {
		l.info, err = f.Stat()
	}
	if err == nil {
		err = l.inPlace() // somebody may have removed it in between
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

func (l *dirLock) release() { l.file.Close() }

// unlock gives a file free that stays open.
func (i identity) unlock() { _ = flock(i.file, syscall.LOCK_UN) }

// unused returns [ErrInUse] for a file that somebody has open to write to it, and
// keeps others from that until it is closed.
func unused(f *os.File) error { return flock(f, syscall.LOCK_SH) }

func flock(f *os.File, how int) error {
	err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	if err != nil {
		return &os.PathError{Op: "flock", Path: f.Name(), Err: err}
	}
	return nil
}

// syncDir makes the names in a directory last.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
