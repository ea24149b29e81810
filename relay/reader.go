package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

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
// it would have had at once: one that is already stored is recognised. A date without a
// zone is read in that which the relay noted, where none is chosen for the integration.
// What has neither an id nor a date of its own gets its id from the request, so that it is
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
	in, _ = in.InZoneOf(q.TimeZone)
	x := &exchange{in: in, id: q.RequestID, trace: q.Trace, start: q.Received, kind: kind, synthetic: q.Synthetic, resubmitted: true}
	return x.newEvent(d), nil
}

// Decoded is what would become of a body.
type Decoded struct {
	// Reason is why it would go to the quarantine. The rest is then empty but for
	// Report, where the body could be read.
	Reason visit.Reason
	Kind   visit.Kind
	// Named is the kind that the body names, which need not be that of the URL.
	Named visit.Kind
	// Subject is that of the event, or of the check-in request to the first decider.
	Subject string
	// Event is the event; of a check-in request it has what both have.
	Event *visit.Event
	// IDFromBody is set when the event's id is derived from the body, so that a repeat
	// is recognised. Else it is random.
	IDFromBody bool
	// Unmet are the deciders, but for shadows, whose expectations a check-in request
	// does not meet, so that they would not be asked, with the fields that it lacks.
	Unmet []Unmet
	// Report says where everything was found.
	Report *fields.Report
}

// Unmet is what a check-in request lacks for one decider.
type Unmet struct {
	Decider string
	Missing []string
}

// Decode says what would become of a body, received at a time, at the URL of an
// integration that names the kind; empty is the URL that names none.
func (r *Reader) Decode(integration string, pinned visit.Kind, raw []byte, received time.Time, subjects visit.Subjects) (Decoded, error) {
	in := r.integrations[integration]
	if in == nil {
		return Decoded{}, fmt.Errorf("integration %s is not configured", integration)
	}
	report, reason := in.Fields.Explain(newBody(raw, nil, nil, r.limits.Body).text, r.limits.JSONDepth)
	d := Decoded{Reason: reason, Report: report}
	if reason != "" {
		return d, nil
	}
	d.Named = in.kindOf(report.Event)
	if d.Kind, d.Reason = in.kind(pinned, report.Body); d.Reason != "" {
		return d, nil
	}
	x := &exchange{in: in, id: visit.NewRequestID(), start: received, kind: d.Kind}
	d.Event = x.newEvent(report.Body)
	d.IDFromBody = d.Event.ID == x.newEvent(report.Body).ID
	d.Subject = subjects.Event(in.Site, d.Kind)
	if d.Kind == visit.KindCheckInRequest {
		d.Event.ID, d.Subject, d.Unmet = "", subjects.Ask(in.Site, in.Deciders[0].Name), in.unmet(report.Body)
	}
	return d, nil
}

// KindOf is the kind that an event's name stands for at an integration, or empty.
func (r *Reader) KindOf(integration, event string) visit.Kind {
	if in := r.integrations[integration]; in != nil {
		return in.kindOf(event)
	}
	return ""
}

func (in *Integration) unmet(b *fields.Body) (all []Unmet) {
	for _, decider := range in.Deciders {
		missing := in.lacks(b)
		if decider.Expects != nil {
			missing = b.Lacks(decider.Expects)
		}
		if len(missing) > 0 && !decider.Shadow {
			all = append(all, Unmet{decider.Name, missing})
		}
	}
	return all
}
