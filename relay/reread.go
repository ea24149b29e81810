package relay

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sine-relay/sine-relay/visit"
)

// ErrQuestion is returned for a body that asks whether a visitor may come in:
// nobody waits for the answer any more.
var ErrQuestion = errors.New("a check-in request, to which nobody waits for an answer any more")

// ErrCut is returned for a body of which only the beginning was kept, because it
// was too large.
var ErrCut = errors.New("only the beginning was kept: the body was larger than the relay reads")

// Reader reads bodies that were kept in the quarantine as the webhook would read
// them today, after a change of the configuration or a new release.
type Reader struct {
	integrations map[string]*Integration
	limits       Limits
}

// NewReader returns a reader for the configured integrations, or everything that
// is wrong with them.
func NewReader(integrations []Integration, limits Limits) (*Reader, error) {
	limits = limits.complete()
	book, err := newBook(integrations, limits)
	if err != nil {
		return nil, err
	}
	return &Reader{book.integrations, limits}, nil
}

// Content returns a body without its content encodings, or as it is kept where they
// cannot be undone.
func Content(q visit.Quarantined, limits Limits) []byte {
	if s := undo(q.Body, encodingsOfKept(q), nil, limits.complete().Body); s.reason == "" {
		return s.content
	}
	return q.Body
}

// Event returns the event that a body stands for, with the id and the times that
// it would have had at once: one that is already stored is recognised. What has
// neither an id nor a date of its own gets its id from the call, so that it is
// recognised when it is submitted a second time. The error says why there is no
// event; it wraps [ErrQuestion] or [ErrCut] where that is so, and holds nothing of
// the body.
func (r *Reader) Event(q visit.Quarantined) (*visit.Event, error) {
	if q.Reason == visit.ReasonRefused {
		e := &visit.Event{}
		if err := json.Unmarshal(q.Body, e); err != nil || e.ID == "" || e.ID != q.EventID {
			return nil, errors.New("not the event that its headers name")
		}
		return e, nil
	}
	if q.Cut && q.Reason == visit.ReasonTooLarge {
		return nil, ErrCut
	}
	in := r.integrations[q.Integration]
	if in == nil {
		return nil, fmt.Errorf("no integration %s is configured", q.Integration)
	}
	s := undo(q.Body, encodingsOfKept(q), nil, r.limits.Body)
	d, reason := delivery{}, s.reason
	if reason == "" {
		d, reason = decode(s.text, r.limits.JSONDepth)
	}
	kind := visit.Kind("")
	if reason == "" {
		kind, reason = in.kind(q.Pinned, &d)
	}
	switch {
	case reason != "":
		return nil, fmt.Errorf("still not understood: %s", reason)
	case !kind.IsEvent():
		return nil, ErrQuestion
	}
	c := &call{id: q.RequestID, trace: q.Trace, start: q.Received, kind: kind, synthetic: q.Synthetic, again: true}
	return c.happened(in, &d, s.text), nil
}
