package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// passwordDir holds a file for each user.
const passwordDir = "nats-passwords"

// store is a directory that this server alone has open.
type store struct {
	dir       string
	passwords map[string]string
	unlock    func()
}

func openStore(dir string) (*store, error) {
	if dir == "" {
		return nil, errors.New("open store: SINE_RELAY_NATS_STORE_DIR is not set")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create store: %w", err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err // names the directory
	}
	s := &store{dir: dir, unlock: unlock}
	if s.passwords, err = readPasswords(filepath.Join(dir, passwordDir)); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close lets another server in.
func (s *store) close() { s.unlock() }
