package window

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sine-relay/sine-relay/internal/atomicfile"
)

// serversFile has the ids of the receivers that are known to have run since what is in
// the window was acknowledged; maxServers of them, the newest last.
const (
	serversFile = "servers.json"
	maxServers  = 64
)

// Knows reports whether a receiver was remembered: it has not started anew since. It does
// not wait for the disk.
func (w *Window) Knows(receiver string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.servers, receiver)
}

// Remember notes that a receiver runs and has what is in the window: in this process in
// any case, and for the next one unless there is an error.
func (w *Window) Remember(receiver string) error {
	w.mu.Lock()
	w.servers = append(w.servers, receiver)
	w.servers = slices.Clone(w.servers[max(0, len(w.servers)-maxServers):])
	servers := w.servers
	w.mu.Unlock()
	return w.writeServers(servers)
}

// ForgetServers has every receiver be a new one, also for the next process.
func (w *Window) ForgetServers() error {
	w.mu.Lock()
	w.servers, w.forgotten = nil, true
	w.mu.Unlock()
	if !w.IsOpen() {
		return nil // and it is not for those in the file, then
	}
	return w.writeServers(nil)
}

// loadServers takes over which servers an earlier process knew, unless it is known by now
// that they may have lost something.
func (w *Window) loadServers() error {
	servers := w.readServers()
	w.mu.Lock()
	forgotten := w.forgotten
	if !forgotten {
		w.servers = servers
	}
	w.mu.Unlock()
	if forgotten {
		return w.writeServers(nil)
	}
	return nil
}

func (w *Window) writeServers(servers []string) error {
	content, err := json.Marshal(servers)
	if err == nil {
		err = atomicfile.Write(filepath.Join(w.cfg.Dir, serversFile), content)
	}
	if err != nil {
		return fmt.Errorf("remember the servers of the window: %w", err)
	}
	return nil
}

// readServers returns none where the file cannot be read: then what is in the window is
// sent again.
func (w *Window) readServers() (servers []string) {
	content, err := os.ReadFile(filepath.Join(w.cfg.Dir, serversFile))
	if err == nil {
		err = json.Unmarshal(content, &servers)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.complain("cannot read which servers are known", err)
	}
	return servers
}
