package spool

import (
	"errors"
	"fmt"
	"io"
	"syscall"
)

// disk is the directory of a spool. All that the spool does to files goes through
// it, and through [file].
type disk interface {
	// lock makes the directory where it is absent and keeps others out. It returns
	// [ErrInUse] where another has it.
	lock() (dirLock, error)
	// list returns the names in the directory.
	list() ([]string, error)
	// create makes a file of that size, which takes up its room.
	create(name string, size int64) (file, error)
	// open opens a file to read and write it: errNotAFile where the name is that of
	// something else, and [ErrInUse] where another process has it open.
	open(name string) (file, error)
	// check returns the size of the file that the name leads to, and errReplaced
	// where that is not f.
	check(name string, f file) (size int64, err error)
	rename(from, to string) error
	remove(name string) error
	// sync makes the names in the directory last.
	sync() error
	// space is what may still be written to the disk, and what may altogether.
	space() (free, size int64, err error)
}

// file is a file of a [disk]. What was written lasts once Sync has returned nil.
type file interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Close() error
}

// dirLock keeps others out of a directory, and goes with the process.
type dirLock interface {
	inPlace() error
	release()
}

var (
	errNotAFile = errors.New("not a regular file")
	errReplaced = errors.New("it is not the file that is open")
)

// ErrDiskFull comes from a put for which the disk has no room. It is an [ErrFull].
var ErrDiskFull = fmt.Errorf("%w: no space left on its disk", ErrFull)

// noRoom reports whether an error says that a disk, a quota or a file is full.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
