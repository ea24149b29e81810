//go:build !unix

package embedded

import "io/fs"

// lock does nothing where the system has no flock: nothing then keeps a second
// process out of the store.
type lock struct{}

func takeLock(string) (*lock, error) { return &lock{}, nil }

func (*lock) check() error { return nil }

func (*lock) release() {}

// shared is false: this system does not keep rights in a file's mode.
func shared(fs.FileInfo) bool { return false }
