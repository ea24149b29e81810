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
	return write(file, content, func(f *os.File) error { return f.Chmod(0o600) })
}

// Replace does so for a file of somebody else, who may read it as before; one that is
// absent may be read by everybody. A link stays one: what it leads to is replaced.
func Replace(file string, content []byte) error {
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return write(file, content, func(f *os.File) error { return f.Chmod(0o644) })
	case err != nil:
		return err
	}
	return write(file, content, func(f *os.File) error { return errors.Join(keepOwner(f, info), f.Chmod(info.Mode().Perm())) })
}

func write(file string, content []byte, permit func(*os.File) error) error {
	draft := file + ".new"
	f, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = permit(f)
	if err == nil {
		_, err = f.Write(content)
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft, file); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(file))
}
