package spool

import (
	"os"
	"path/filepath"
	"time"
)

// Disk is the room on the disk of a spool. All is zero where the system does not
// tell.
type Disk struct {
	// Free bytes may still be written to it, of Size altogether.
	Free, Size int64
	// Left is what the spool may still take up: Free, and what is free within its
	// file.
	Left int64
}

// DiskOf looks at the disk of a directory in which there is a spool, or will be.
func DiskOf(dir string) (Disk, error) {
	free, size, err := diskSpace(dir)
	if err != nil {
		return Disk{}, err
	}
	d := Disk{Free: free, Size: size, Left: free}
	if info, err := os.Stat(file(dir)); err == nil {
		d.Left += info.Size()
	}
	return d, nil
}

// Disk is the room on the spool's disk, as it was a second ago at most: who asks
// must not wait for a disk that does not answer. What is in pieces within the file
// counts as if it were not.
func (s *Spool) Disk() Disk {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.disk
}

// lookAtDisk is the committer's.
func (s *Spool) lookAtDisk() {
	if time.Since(s.looked) < verifyEvery/4 {
		return
	}
	s.looked = time.Now()
	free, size, err := diskSpace(s.cfg.Dir)
	d := Disk{Free: free, Size: size, Left: free}
	if err != nil {
		d = Disk{}
	} else if db := s.db.Load(); db != nil {
		stats := db.Stats()
		d.Left += int64(stats.FreeAlloc)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disk = d
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

// tryRoom returns why the disk has no room for so many bytes, or nil.
func (s *Spool) tryRoom(bytes int64) error {
	path := filepath.Join(s.cfg.Dir, "spool.probe")
	defer os.Remove(path)
	return fillFile(path, bytes)
}
