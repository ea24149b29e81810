package relay

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// ErrCheckInRequest is returned for a body that asks whether a visitor may come in:
// nobody waits for the response any more.
var ErrCheckInRequest = errors.New("a check-in request, for whose response nobody waits any more")

// ErrCut is returned for a body of which only the beginning was kept, because it
// was too large.
var ErrCut = errors.New("only the beginning was kept: the body exceeded the size limit")

// Reader reads bodies that were kept in the quarantine as the webhook would read
// them today, after a change of the configuration or a new release.
type Reader struct {
	integrations map[string]*Integration
	limits       Limits
}

// NewReader returns a reader for the configured integrations, or everything that
// is wrong with them.
func NewReader(integrations []Integration, limits Limits) (*Reader, error) {
	s, err := newSnapshot(integrations)
	if err != nil {
		return nil, err
	}
	return &Reader{s.integrations, limits}, nil
}

// Content returns a body without its content encodings, or as it is kept where they
// cannot be decoded.
func Content(q visit.Quarantined, limits Limits) []byte {
	if b := newBody(q.Body, encodingsOfKept(q), nil, limits.Body); b.reason == "" {
		return b.content
	}
	return q.Body
}

// Event returns the event that a body stands for, with the id and the times that
// it would have had at once: one that is already stored is recognised. What has
// neither an id nor a date of its own gets its id from the request, so that it is
// recognised when it is submitted a second time. The error says why there is no
// event; it wraps [ErrCheckInRequest] or [ErrCut] where that is so, and holds nothing
// of the body.
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
		return nil, fmt.Errorf("integration %s is not configured", q.Integration)
	}
	b := newBody(q.Body, encodingsOfKept(q), nil, r.limits.Body)
	d, reason := (*fields.Body)(nil), b.reason
	if reason == "" {
		d, reason = in.Fields.Read(b.text, r.limits.JSONDepth)
	}
	kind := visit.Kind("")
	if reason == "" {
		kind, reason = in.kind(q.Kind, d)
	}
	switch {
	case reason != "":
		return nil, fmt.Errorf("still not understood: %s", reason)
	case !kind.IsEvent():
		return nil, ErrCheckInRequest
	}
	x := &exchange{in: in, id: q.RequestID, trace: q.Trace, start: q.Received, kind: kind, synthetic: q.Synthetic, resubmitted: true}
	return x.newEvent(d), nil
}
