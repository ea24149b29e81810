//go:build !unix

package spool

import "os"

// dirLock does nothing where the system has no flock: there the lock that bbolt
// takes on its file keeps others out.
type dirLock struct{}

func lock(string) (*dirLock, error) { return &dirLock{}, nil }

func (*dirLock) inPlace() error { return nil }
func (*dirLock) release()       {}

// unlock does nothing here.
func (identity) unlock() {}

// unused tells nothing here.
func unused(*os.File) error { return nil }

// syncDir does nothing where directories cannot be synced.
func syncDir(string) error { return nil }
