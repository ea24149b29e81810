//go:build unix

package atomicfile

import (
	"os"
	"syscall"
)

// SyncDir makes the names in a directory last.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// keepOwner gives a file to the owner of another one.
func keepOwner(f *os.File, of os.FileInfo) error {
	if owner, ok := of.Sys().(*syscall.Stat_t); ok {
		return f.Chown(int(owner.Uid), int(owner.Gid))
	}
	return nil
}
