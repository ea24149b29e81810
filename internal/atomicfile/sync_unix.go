//go:build unix

package atomicfile

import "os"

// SyncDir makes the names in a directory last.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
