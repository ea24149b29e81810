package relay

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
)

// snapshot is the configuration that the relay answers by. It is never changed, but
// swapped as a whole: an exchange that is under way goes on by the snapshot that it
// began with.
type snapshot struct {
	integrations map[string]*Integration
}

// newSnapshot returns the integrations by name, or everything that is wrong with
// them.
func newSnapshot(integrations []Integration) (*snapshot, error) {
	s := &snapshot{integrations: make(map[string]*Integration, len(integrations))}
	var errs []error
	for _, in := range integrations {
		complete, err := in.complete()
		if err == nil && s.integrations[in.Name] != nil {
			err = fmt.Errorf("integration %q is configured twice", in.Name)
		}
		errs = append(errs, err)
		s.integrations[in.Name] = &complete
	}
	return s, errors.Join(errs...)
}

// Reload puts other integrations, with their keys and policies, in the place of
// the present ones: at once and for every request that comes from now on. On an
// error everything stays as it is.
func (r *Relay) Reload(integrations []Integration) error {
	s, err := newSnapshot(integrations)
	if err != nil {
		return err
	}
	r.swap(s)
	return nil
}

// swap begins to answer by a snapshot.
func (r *Relay) swap(s *snapshot) {
	r.swapping.Lock()
	defer r.swapping.Unlock()
	before := r.snapshot.Load()
	for name, in := range s.integrations {
		r.metrics.initialiseFor(in)
		in.lastReceived = new(atomic.Int64)
		if before != nil && before.integrations[name] != nil {
			in.lastReceived = before.integrations[name].lastReceived
		}
	}
	r.limiter.among(len(s.integrations))
	r.recorder.places.Among(len(s.integrations))
	r.connections.Among(len(s.integrations))
	r.drifts.swap(s, r.now())
	r.snapshot.Store(s)
	r.metrics.apiKeys.swap(s.integrations)
}

// Integrations returns those of the present snapshot.
func (r *Relay) Integrations() []*Integration {
	return slices.Collect(maps.Values(r.snapshot.Load().integrations))
}
