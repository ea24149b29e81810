package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// passwordDir holds a file for each user.
const passwordDir = "nats-passwords"

// PasswordFile is where a store keeps the password of a user.
func PasswordFile(storeDir, user string) string { return filepath.Join(storeDir, passwordDir, user) }

// store is a directory that this server alone has open.
type store struct {
	dir       string
	passwords map[string]string
	place     *held

	mu      sync.Mutex
	lock    *lock
	streams map[string]*streamFiles
	absent  map[string]time.Time // streams without a directory, and since when
}

// openStore uses the passwords that are known, and keeps them again where their
// files are gone: whoever has one would be shut out.
func openStore(dir string, known map[string]string) (*store, error) {
	if dir == "" {
		return nil, fmt.Errorf("open store: %w", ErrNoStore)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create store: %w", err)
	}
	taken, err := takeLock(dir)
	if err != nil {
		return nil, err // names the directory
	}
	s := &store{dir: dir, lock: taken, streams: make(map[string]*streamFiles), absent: make(map[string]time.Time)}
	if s.place, err = hold(dir); err == nil {
		s.passwords, err = readPasswords(filepath.Join(dir, passwordDir), known)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// check says whether the directory is still the store and nobody else's, or nil.
func (s *store) check() error {
	if err := s.place.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lock.check()
}

// tryDisk tries whether a directory, which is made if absent, takes as many bytes.
func tryDisk(dir string, bytes int) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "room")) // always the same, if a crash leaves it
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, bytes)) // a hole in a file would take no room
	return errors.Join(err, f.Sync(), f.Close())
}

// close lets another server in.
func (s *store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.streams {
		one.dir.close()
	}
	clear(s.streams)
	if s.place != nil {
		s.place.close()
	}
	s.lock.release()
}
