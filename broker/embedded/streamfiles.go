package embedded

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

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
