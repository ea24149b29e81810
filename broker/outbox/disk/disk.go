// Package disk is a directory of files as a log needs it: files that take up their room
// from the start, and are synced; names that are synced for themselves; and the identity
// of what is open, since others may remove or replace it.
//
// It is an interface, so that a test can lose what was not synced, and [In], which is a
// directory of the operating system. One process at a time has a file open.
package disk

import (
	"errors"
	"io"
	"syscall"
)

// Disk is a directory.
type Disk interface {
	// Lock makes the directory where it is absent and keeps others out. It returns
	// [ErrInUse] where another has it.
	Lock() (Lock, error)
	// List returns the names in the directory.
	List() ([]string, error)
	// Create makes a file of that size, which takes up its room.
	Create(name string, size int64) (File, error)
	// Open opens a file to read and write it: [ErrNotAFile] where the name is that of
	// something else, and [ErrInUse] where another process has it open.
	Open(name string) (File, error)
	// Check returns the size of the file that the name leads to, and [ErrReplaced]
	// where that is not f.
	Check(name string, f File) (size int64, err error)
	Rename(from, to string) error
	Remove(name string) error
	// Sync makes the names in the directory last.
	Sync() error
	// Space is how many bytes may still be written to the disk, and how many may
	// altogether; zero where the system does not tell.
	Space() (free, size int64, err error)
}

// File is a file of a [Disk]. What was written lasts once Sync has returned nil.
type File interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Close() error
}

// Lock keeps others out of a directory, and goes with the process.
type Lock interface {
	// InPlace returns why others are not kept out any more, or nil.
	InPlace() error
	Release()
}

var (
	// ErrInUse comes where another process, or another part of this one, has a
	// directory or a file open.
	ErrInUse = errors.New("another process has it open")
	// ErrNotAFile comes from opening what is not a regular file.
	ErrNotAFile = errors.New("not a regular file")
	// ErrReplaced comes from checking a file in whose place is another.
	ErrReplaced = errors.New("it is not the file that is open")
)

// IsFull reports whether an error says that a disk, a quota or a file is full.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
