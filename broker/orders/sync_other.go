//go:build !unix

package orders

// syncDir does nothing where directories cannot be synced.
func syncDir(string) error { return nil }
