// Package atomicfile writes small files that the next start reads: a key, a
// password, a state. It leaves the file as it was or with its whole new content,
// even when the power goes in between.
package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
)

// Write replaces a file, which only its owner may read. When it returns nil, content
// and name are on disk. One process writes a file at a time: the draft beside it has
// one name, so that a draft which a crash left is written over.
func Write(file string, content []byte) error {
	draft := file + ".new"
	f, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft, file); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(file))
}
