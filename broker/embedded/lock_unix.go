//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// lock keeps a second process out of the store, which the NATS server does not:
// both would write to the same files. It goes with the process.
//
// The directory is locked, too, since a file in it can be removed while this process
// has it locked, and then locked by another. Not every file system locks directories.
type lock struct{ file, dir *held }

func takeLock(dir string) (*lock, error) {
	d, err := hold(dir)
	if err != nil {
		return nil, fmt.Errorf("store directory: %w", err)
	}
	if err := flock(d.file); errors.Is(err, syscall.EWOULDBLOCK) {
		d.close()
		return nil, inUse(dir, err)
	}
	l := &lock{dir: d}
	if l.file, err = lockFile(dir); err != nil {
		d.close()
		return nil, err
	}
	return l, nil
}

func lockFile(dir string) (*held, error) {
	name := filepath.Join(dir, "lock")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store directory: %w", err)
	}
	if err := flock(f); err != nil {
		f.Close()
		return nil, inUse(dir, err)
	}
	return holding(name, f)
}

func flock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

func inUse(dir string, err error) error {
	return fmt.Errorf("store directory %s is in use by another process: %w", dir, err)
}

// check says why the lock keeps nobody out any more, or nil. A lock file that was
// removed is made anew, unless another process did so first.
func (l *lock) check() error {
	if l.file.check() == nil {
		return nil
	}
	again, err := lockFile(l.dir.path)
	if err != nil {
		return err
	}
	l.file.close()
	l.file = again
	return nil
}

// release gives the locks free at once, also while a process that is being forked has
// the files, too.
func (l *lock) release() {
	for _, h := range []*held{l.file, l.dir} {
		_ = syscall.Flock(int(h.file.Fd()), syscall.LOCK_UN) // closing does it otherwise
		h.close()
	}
}

// shared reports whether anybody but the owner has rights to a file.
func shared(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }
