package embedded

import (
	"fmt"
	"os"
)

// held is a file or directory that must stay the one at its path. It is open for as
// long as it is compared: a file system gives the number of a removed one to the next.
type held struct {
	path string
	file *os.File
	info os.FileInfo
}

func hold(path string) (*held, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return holding(path, f)
}

// holding takes over a file that is open, and closes it on an error.
func holding(path string, f *os.File) (*held, error) {
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &held{path, f, info}, nil
}

// check says what became of it, or nil.
func (h *held) check() error {
	now, err := os.Stat(h.path)
	switch {
	case err != nil:
		return err
	case !os.SameFile(now, h.info):
		return fmt.Errorf("%s was replaced", h.path)
	}
	return nil
}

func (h *held) close() { h.file.Close() }
