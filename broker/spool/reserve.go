package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// reserveBytes is room on the disk that is kept for removals. bbolt writes the
// pages that a removal changes anew before it gives the old ones free, so that
// on a full disk nothing could be removed any more, and nothing would ever
// become free. It suffices to remove one entry of up to that size.
const reserveBytes = 1 << 20

// ErrDiskFull comes from a put for which the disk has no room. It is an [ErrFull].
var ErrDiskFull = fmt.Errorf("%w: no space left on its disk", ErrFull)

// reserve is a file that takes up room until it is needed.
type reserve struct{ path string }

func newReserve(dir string) *reserve { return &reserve{filepath.Join(dir, "spool.reserve")} }

// hold takes the room up, and reports whether it is there. It looks each time:
// the file may be gone.
func (r *reserve) hold() bool {
	if info, err := os.Stat(r.path); err == nil && info.Size() == reserveBytes {
		return true
	}
	if err := fillFile(r.path, reserveBytes); err != nil {
		r.release()
		return false
	}
	return true
}

// fillFile writes a file of that size: one that is only made long takes up no room.
// What is no file is removed first: to open a pipe would wait for a reader.
func fillFile(path string, bytes int64) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, bytes))
	return errors.Join(err, f.Sync(), f.Close())
}

// release gives the room free.
func (r *reserve) release() { os.Remove(r.path) }

// noRoom reports whether an error says that a disk, a quota or a file is full.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// makeRoom removes and counts on a disk that is full: with the reserve, and in
// parts, because each needs room for the pages that it changes.
func (s *Spool) makeRoom(batch []*operation) error {
	s.reserve.release()
	var parts []*operation
	for _, o := range batch {
		if o.count != nil {
			parts = append(parts, o)
		}
		for _, sequence := range o.remove {
			parts = append(parts, &operation{remove: []uint64{sequence}})
		}
	}
	for size := len(parts); len(parts) > 0; {
		size = min(size, len(parts))
		err := s.write(parts[:size])
		switch {
		case err == nil:
			parts = parts[size:]
		case !noRoom(err) || size == 1:
			return err
		default:
			size = max(size/4, 1)
		}
	}
	return nil
}
