package orders

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/broker/orders/ledger"
	"github.com/sine-relay/sine-relay/internal/atomicfile"
	"github.com/sine-relay/sine-relay/visit"
)

// snapshot is what the kept file holds.
type snapshot struct {
	Version int       `json:"version"`
	Written time.Time `json:"written"`
	// Heard is when the bucket was last read, by this machine's clock.
	Heard  time.Time     `json:"heard,omitzero"`
	Orders []visit.Order `json:"orders"`

	data []byte // as it was read or written
}

// inPlace reports whether the next start would find the state. It compares the
// content: a file system gives the number of a file that is gone to the next one.
func (s *snapshot) inPlace(file string) bool {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(s.data)) {
		return false
	}
	now, err := os.ReadFile(file)
	return err == nil && bytes.Equal(now, s.data)
}

const snapshotVersion = 1

// restore takes over the kept state, and returns nil when there is none.
func (w *Watcher) restore() *snapshot {
	if w.cfg.SnapshotFile == "" {
		return nil
	}
	state, err := load(w.cfg.SnapshotFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, errDamaged):
		w.setAside(err)
		return nil
	case err != nil:
		w.log.Error("cannot read the snapshot of standing orders", "err", err)
		return nil
	}
	w.source, w.asOf = SourceKept, state.Heard
	// A clock that was set back meanwhile must not make it young.
	if age := time.Since(state.Heard); age >= 0 && age <= w.cfg.MaxAge {
		w.heard = time.Now().Add(-age)
	}
	w.entries = ledger.Ledger{}
	for _, o := range state.Orders {
		if o.Kind == visit.OrderOverride && o.Until.Sub(o.Since) > w.cfg.MaxOverride {
			continue // the longest duration may have become shorter
		}
		w.entries.Keep(o)
	}
	w.orders = w.entries.Orders()
	w.changes.Tell(w.entries, string(w.source), time.Now())
	return state
}

// setAside keeps a damaged file for whoever wants to know.
func (w *Watcher) setAside(cause error) {
	aside := w.cfg.SnapshotFile + ".damaged-" + time.Now().UTC().Format("20060102T150405.000000000Z")
	err := os.Rename(w.cfg.SnapshotFile, aside)
	w.log.Error("the snapshot of standing orders was damaged and is moved aside", "path", aside, "err", errors.Join(cause, err))
}

var errDamaged = errors.New("not a snapshot of standing orders")

// load returns an error that wraps errDamaged for a file that was not written
// here, or only in part.
func load(file string) (*snapshot, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	state := snapshot{data: data}
	if json.Unmarshal(data, &state) != nil || state.Version != snapshotVersion {
		return nil, fmt.Errorf("%s: %w", file, errDamaged)
	}
	for _, o := range state.Orders {
		if err := o.Validate(); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", file, errDamaged, err)
		}
	}
	return &state, nil
}

// keep writes the file after each change until there are no more, whenever somebody
// has removed or replaced it, and at the end once more, with how old it is then. It has a goroutine of its own, since a slow
// disk must not hold up an order. What fails is tried again after the bucket was
// read again.
func (w *Watcher) keep(kept *snapshot) {
	for range w.changed {
		if w.cfg.SnapshotFile == "" {
			continue
		}
		if state := w.state(); kept == nil || !slices.Equal(state.Orders, kept.Orders) || !kept.inPlace(w.cfg.SnapshotFile) {
			if w.writeSnapshot(state) {
				kept = state
			}
		}
	}
	if state := w.state(); w.cfg.SnapshotFile != "" && kept != nil && !state.Heard.Equal(kept.Heard) {
		w.writeSnapshot(state)
	}
}

func (w *Watcher) state() *snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	return &snapshot{Version: snapshotVersion, Written: time.Now().UTC(), Heard: w.asOf.UTC(), Orders: w.orders}
}

func (w *Watcher) writeSnapshot(s *snapshot) bool {
	err := s.write(w.cfg.SnapshotFile)
	w.reportKept(err)
	return err == nil
}

func (w *Watcher) reportKept(err error) {
	if err != nil {
		err = fmt.Errorf("store the snapshot of standing orders: %w", err)
	}
	w.mu.Lock()
	was := w.snapshotErr
	w.snapshotErr = err
	w.mu.Unlock()
	if err != nil && (was == nil || was.Error() != err.Error()) {
		w.log.Error("cannot store the snapshot of standing orders, so the next start will not know them", "err", err)
	}
}

// write leaves the file as it was or with the whole state, even when the power
// goes in between.
func (s *snapshot) write(file string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	s.data = append(data, '\n')
	return atomicfile.Write(file, s.data)
}
