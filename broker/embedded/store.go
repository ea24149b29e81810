package embedded

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
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

// streamFiles is where a stream's messages are: in blocks that are numbered. What is
// stored goes into the highest.
type streamFiles struct {
	dir     *held
	created time.Time
	newest  int
}

// checkStream says whether what is stored in a stream is at its path, or nil. The
// streams of the server, with when they were created, tell a directory that was
// removed from a stream that was.
func (s *store) checkStream(name string, streams func() map[string]time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.streams[name]
	if one != nil && one.check() == nil {
		return nil
	}
	// The server answers once it has ended what it was about: while it purges a
	// stream, the directory of its messages is not there for a moment.
	created, there := streams()[name]
	switch {
	case !there:
		s.forget(name)
		return nil
	case one != nil && one.created.Equal(created):
		return one.check()
	}
	dir, err := hold(filepath.Join(s.dir, "jetstream", relayAccount, "streams", name))
	if err != nil {
		if _, again := s.absent[name]; !again {
			s.absent[name] = time.Now()
		}
		return err
	}
	s.forget(name)
	one = &streamFiles{dir: dir, created: created}
	s.streams[name] = one
	return one.check()
}

// known are the streams whose directory was seen before, and those that had none for a
// while: the server has a stream before it makes the directory.
func (s *store) known() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Collect(maps.Keys(s.streams))
	for name, since := range s.absent {
		if time.Since(since) > examineInterval {
			all = append(all, name)
		}
	}
	return all
}

func (s *store) forget(name string) {
	if one := s.streams[name]; one != nil {
		one.dir.close()
	}
	delete(s.streams, name)
	delete(s.absent, name)
}

func (f *streamFiles) check() error {
	if err := f.dir.check(); err != nil {
		return err
	}
	messages := filepath.Join(f.dir.path, "msgs")
	if f.newest > 0 {
		if _, err := os.Stat(filepath.Join(messages, fmt.Sprintf("%d.blk", f.newest))); err == nil {
			return nil
		}
	}
	files, err := os.ReadDir(messages)
	if err != nil {
		return err
	}
	newest := 0
	for _, file := range files {
		var number int
		if _, err := fmt.Sscanf(file.Name(), "%d.blk", &number); err == nil {
			newest = max(newest, number)
		}
	}
	if newest < f.newest || newest == 0 {
		return fmt.Errorf("messages were removed from %s", messages)
	}
	f.newest = newest
	return nil
}
