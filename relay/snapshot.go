package relay

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// book is what the relay answers by. It is never changed, but replaced as a
// whole: a call that is under way goes on by the book that it began with.
type book struct {
	integrations map[string]*Integration
}

// newBook returns the integrations by name, or everything that is wrong with
// them.
func newBook(integrations []Integration, limits Limits) (*book, error) {
	b := &book{integrations: make(map[string]*Integration, len(integrations))}
	var faults []error
	for _, i := range integrations {
		complete, err := i.complete()
		if err == nil && b.integrations[i.Name] != nil {
			err = fmt.Errorf("integration %q is configured twice", i.Name)
		}
		if err == nil && complete.Budget >= limits.WriteTimeout {
			err = fmt.Errorf("integration %q: its decision budget of %s must be shorter than the write timeout of %s", i.Name, complete.Budget, limits.WriteTimeout)
		}
		faults = append(faults, err)
		b.integrations[i.Name] = &complete
	}
	return b, errors.Join(faults...)
}

// Reload puts other integrations, with their keys and policies, in the place of
// the present ones: at once and for every call that comes from now on. On an
// error everything stays as it is.
func (r *Relay) Reload(integrations []Integration) error {
	book, err := newBook(integrations, r.limits)
	if err != nil {
		return err
	}
	r.open(book)
	return nil
}

// open begins to answer by a book.
func (r *Relay) open(b *book) {
	r.opening.Lock()
	defer r.opening.Unlock()
	for _, in := range b.integrations {
		r.metrics.initialiseFor(in)
	}
	r.limiter.among(len(b.integrations))
	r.recorder.places.Among(len(b.integrations))
	r.connections.Among(len(b.integrations))
	r.book.Store(b)
	r.metrics.keys.change(b.integrations)
}

// Integrations returns those that the relay answers for at present.
func (r *Relay) Integrations() []*Integration {
	return slices.Collect(maps.Values(r.book.Load().integrations))
}
