//go:build linux || darwin

package spool

import (
	"os"
	"syscall"
)

// diskSpace is what a process without special rights may still write to the disk
// of a directory, and what it may altogether.
func diskSpace(dir string) (free, size int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	kept := st.Bfree - st.Bavail // for the superuser
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks-kept) * int64(st.Bsize), nil
}
