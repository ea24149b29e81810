package disk

import (
	"errors"
	"os"
	"syscall"
)

func allocate(f *os.File, size int64) error {
	err := retried(func() error { return syscall.Fallocate(int(f.Fd()), 0, 0, size) })
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return writeZeros(f, size)
	}
	return err
}

// Sync leaves out what a file does not need to be read again, such as its times.
func (f systemFile) Sync() error {
	if err := retried(func() error { return syscall.Fdatasync(int(f.Fd())) }); err != nil {
		return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}

// retried passes over interruptions: the runtime interrupts its threads with signals.
func retried(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
