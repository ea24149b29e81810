//go:build !unix

package spool

// lock does nothing where the system has no flock: there the lock that bbolt
// takes on its file keeps others out.
func lock(string) (unlock func(), err error) { return func() {}, nil }

// syncDir does nothing where directories cannot be synced.
func syncDir(string) error { return nil }
