package admin

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	pollInterval = 500 * time.Millisecond
	// looksForAnotherStream is how many polls may find nothing before one looks
	// whether the stream was made anew and counts from 1 again. After an error, and
	// where something was found, it is looked for at once.
	looksForAnotherStream = 20
)

// Follow calls fn for each entry that is stored from now on, as long as ctx lasts,
// each once, also where the connection is lost meanwhile; then it returns nil. It calls
// state with nil when it begins, with what keeps it from reading, and with nil when it
// reads again. It returns what fn returns, and an error where it cannot begin or is not
// permitted to read.
func (h *History) Follow(ctx context.Context, f HistoryFilter, fn func(HistoryEntry) error, state func(error)) error {
	sources := h.sources(f)
	if err := toEnds(ctx, sources); err != nil {
		return err
	}
	state(nil)
	return follow(ctx, sources, fn, reporter{state: state}, func(err error) bool { return errors.Is(err, visit.ErrDenied) })
}

// Watch is Follow for a program that stays: it begins as soon as it can, with what is
// stored from the moment on at which it first calls state with nil, and it goes on when
// NATS permits again what it refused. It returns nil when ctx ends, or what fn returns.
func (h *History) Watch(ctx context.Context, f HistoryFilter, fn func(HistoryEntry) error, state func(error)) error {
	sources := h.sources(f)
	r := reporter{state: state, each: true}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := toEnds(ctx, sources)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			break
		}
		r.report(err)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	state(nil)
	return follow(ctx, sources, fn, reporter{state: state, each: true}, func(error) bool { return false })
}

func toEnds(ctx context.Context, sources []*source) error {
	for _, s := range sources {
		if err := s.toEnd(ctx); err != nil {
			return err
		}
	}
	return nil
}

// reporter reports what keeps one from reading, and that it reads again. With each it also
// reports a reason that follows another, as for a page that shows the last one.
type reporter struct {
	state  func(error)
	each   bool
	failed error
}

func (r *reporter) report(err error) {
	before := r.failed
	r.failed = err
	if (err == nil) != (before == nil) || r.each && err != nil && err.Error() != before.Error() {
		r.state(err)
	}
}

// follow calls fn for what the sources get, until ctx ends, fn returns an error, or what
// keeps it from reading is final.
func follow(ctx context.Context, sources []*source, fn func(HistoryEntry) error, r reporter, final func(error) bool) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		found, more, err := poll(ctx, sources)
		if ctx.Err() == nil && !(err != nil && final(err)) {
			r.report(err)
		}
		slices.SortStableFunc(found, byTime)
		for _, e := range found {
			if err := fn(e); err != nil {
				return err
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && final(err):
			return err
		}
		if more {
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// poll returns what the sources have that is new, and whether there is more.
func poll(ctx context.Context, sources []*source) (found []HistoryEntry, more bool, err error) {
	for _, s := range sources {
		again, failed := s.poll(ctx)
		found, s.page = append(found, s.page...), nil
		more = more || again
		if err == nil {
			err = failed
		}
	}
	return found, more && err == nil, err
}

// poll reads what is new.
func (s *source) poll(ctx context.Context) (more bool, err error) {
	if s.idle++; s.doubt || s.idle >= looksForAnotherStream {
		s.idle = 0
		err = s.lookForAnother(ctx)
	}
	if err == nil {
		more, err = s.readNew(ctx)
	}
	if err != nil {
		s.doubt = true // until something was read: it may be made anew, and empty yet
	}
	for _, e := range s.page {
		s.idle, s.doubt = 0, false
		if e.Stored.After(s.newest) {
			s.newest = e.Stored
		}
	}
	return more, err
}

// readNew reads the next page. A stream that was made anew may have grown past the number
// that is to be read next, and what it has before that is new as well: then nothing is
// read, and the next page begins there.
func (s *source) readNew(ctx context.Context) (more bool, err error) {
	begin := s.next
	if more, err = s.read(ctx); len(s.page) == 0 {
		return more, err
	}
	behind := s.next
	s.next = begin
	switch failed := s.lookForAnother(ctx); {
	case failed != nil:
		s.page = nil
		return false, failed
	case s.next.Sequence < begin.Sequence:
		s.page = nil
		return true, err
	}
	s.next = behind
	return more, err
}

// toEnd goes behind what there is.
func (s *source) toEnd(ctx context.Context) error {
	last, err := s.last(ctx, s.next.Subject)
	if err != nil {
		return err
	}
	s.next.Sequence = 1
	if last != nil {
		s.next.Sequence, s.newest = last.Sequence+1, last.Time
	}
	return nil
}

// lookForAnother begins with the messages that are newer than all that were read and
// have a lower number: a stream that was made anew counts from 1.
func (s *source) lookForAnother(ctx context.Context) error {
	newer := s.newest.Add(1)
	return s.get(ctx, batch{StartTime: &newer, Subject: s.next.Subject, Batch: 1, MaxBytes: batchBytes}, func(m *jetstream.RawStreamMsg) {
		if m.Time.After(s.newest) { // a NATS before 2.11 replies with any
			s.next.Sequence = min(s.next.Sequence, m.Sequence)
		}
	}, func(*nats.Msg) {})
}
