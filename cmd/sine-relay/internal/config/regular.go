package config

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// largestFile is beyond any file of integrations, certificates or secrets: a larger
// one is something else.
const largestFile = 16 << 20

var (
	errNotRegular = errors.New("it is not a regular file")
	errTooLarge   = errors.New("it is too large")
)

// readRegular reads a regular file of at most so many bytes. Other kinds are
// refused, since the relay reads its files again and again: a pipe without a writer
// holds up whoever opens it for ever, and has something to read once.
func readRegular(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%w: it is a directory", errNotRegular)
	case !info.Mode().IsRegular():
		return nil, errNotRegular
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(content)) > most {
		return nil, fmt.Errorf("%w: it has more than %d bytes", errTooLarge, most)
	}
	return content, err
}
