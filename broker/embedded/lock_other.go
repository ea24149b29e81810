//go:build !unix

package embedded

// lock does nothing where the system has no flock: nothing then keeps a second
// process out of the store.
type lock struct{}

func takeLock(string) (*lock, error) { return &lock{}, nil }

func (*lock) check() error { return nil }

func (*lock) release() {}
