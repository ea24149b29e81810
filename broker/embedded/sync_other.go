//go:build !unix

package embedded

// syncDir does nothing where directories cannot be synced.
func syncDir(string) error { return nil }
