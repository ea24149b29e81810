//go:build linux || darwin

package disk

import (
	"errors"
	"os"
	"syscall"
)

const openFlags = syscall.O_NONBLOCK | syscall.O_NOFOLLOW

// flock keeps other processes from a file until it is closed.
func flock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	if err != nil {
		return &os.PathError{Op: "flock", Path: f.Name(), Err: err}
	}
	return nil
}

func unlock(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

// Space is what a process without special rights may still write to the disk of a
// directory, and what it may altogether; zero where the system does not tell.
func Space(dir string) (free, size int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	kept := st.Bfree - st.Bavail // for the superuser
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks-kept) * int64(st.Bsize), nil
}
