package spool

import (
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

// Disk is the room on the disk of a spool. All is zero where the system does not
// tell.
type Disk struct {
	// Free bytes may still be written to it, of Size altogether.
	Free, Size int64
	// Left is what the spool may still take up: Free, and what is free within its
	// segments.
	Left int64
}

// DiskOf looks at the disk of a directory in which there is a spool, or will be.
// What the segments take up counts as free.
func DiskOf(dir string) (Disk, error) {
	free, size, err := diskSpace(dir)
	if err != nil {
		return Disk{}, err
	}
	d := Disk{Free: free, Size: size, Left: free}
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && path != dir {
			return fs.SkipDir // the window's
		}
		if err == nil && strings.HasSuffix(e.Name(), suffixSegment) {
			if info, err := e.Info(); err == nil {
				d.Left += info.Size()
			}
		}
		return nil
	})
	return d, nil
}

// Disk is the room on the spool's disk, as it was a second ago at most: who asks
// must not wait for a disk that does not answer.
func (s *Spool) Disk() Disk {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.space
}

// measureDisk is the committer's.
func (s *Spool) measureDisk() {
	if time.Since(s.measured) < verifyEvery/4 {
		return
	}
	s.measured = time.Now()
	free, size, err := s.disk.space()
	d := Disk{Free: free, Size: size, Left: free}
	if err != nil {
		d = Disk{}
	} else if g := s.active; g != nil {
		d.Left += g.size - g.end
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.space = d
}

// Full is what fraction of what the spool may hold, and its disk can, is used.
func (s *Spool) Full() float64 { return s.fullOn(s.Disk()) }

func (s *Spool) fullOn(d Disk) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit, left := s.cfg.MaxBytes, s.cfg.MaxBytes-s.index.bytes-s.reserved
	if d.Size > 0 {
		limit, left = min(limit, d.Size), min(left, d.Left)
	}
	return 1 - float64(max(left, 0))/float64(limit)
}
