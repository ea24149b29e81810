//go:build !unix

package atomicfile

import "os"

// SyncDir does nothing where directories cannot be synced.
func SyncDir(string) error { return nil }

// keepOwner does nothing where files have no owner of that kind.
func keepOwner(*os.File, os.FileInfo) error { return nil }
