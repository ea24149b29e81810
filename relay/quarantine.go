package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// quarantine keeps a body that could not be understood, or of which at most the
// beginning could be read, and then answers: by the fallback where a visitor may be
// waiting, else with an error. An event that was not stored is never answered 200.
func (r *Relay) quarantine(x *exchange, b body, reason visit.Reason) response {
	r.metrics.refused.WithLabelValues(x.in.Name, string(reason)).Inc()
	x.reason = string(reason)
	q := x.quarantined(b, reason)
	if x.kind == "" {
		x.kind = x.in.kindOf(eventOfBeginning(b.text, r.limits.JSONDepth))
	}
	return r.inLedger(x.in, func() (result, response) {
		_, err := r.store(x, q.Message(r.subjects))
		settled := resultQuarantined
		if err != nil {
			settled = resultRefused
		}
		switch {
		// To send the same again would not help, whether it could be kept or not.
		case reason == visit.ReasonTooLarge:
			return settled, r.unreadResponse(x, resultTooLarge)
		case reason == visit.ReasonUnknownEncoding:
			return settled, r.unreadResponse(x, resultEncoding)
		case err != nil:
			return settled, errorResponse(resultRefused)
		case reason == visit.ReasonIncomplete:
			return settled, r.unreadResponse(x, resultIncomplete)
		default:
			return settled, r.fallbackOrError(x, resultQuarantined)
		}
	})
}

func (x *exchange) quarantined(b body, reason visit.Reason) visit.Quarantined {
	q := visit.Quarantined{
		RequestID: x.id, Trace: x.trace, Site: x.in.Site, Integration: x.in.Name,
		Reason: reason, Kind: x.kind, Received: x.received(), Synthetic: x.synthetic, Body: b.raw,
		ContentEncoding: strings.Join(b.encodings, ", "), Cut: b.cut,
	}
	if b.cut {
		q.ContentLength = max(x.req.ContentLength, 0)
	}
	return q
}

// fallbackOrError answers what was not understood: with the fallback, unless it is an
// event, for which no visitor waits.
func (r *Relay) fallbackOrError(x *exchange, res result) response {
	failed := errorResponse(res)
	if x.kind.IsEvent() {
		return failed
	}
	answered := r.fallback(x, policy.Unreadable)
	answered.result = failed.result
	return answered
}

// unreadResponse answers a body of which at most the beginning could be read. Where
// that does not name the kind, a visitor may be waiting as well: the status stops the
// check-in, and the body has a text to read.
func (r *Relay) unreadResponse(x *exchange, res result) response {
	if x.kind != "" {
		return r.fallbackOrError(x, res)
	}
	failed, rejected := errorResponse(res), r.rejectUnread(x)
	failed.body = rejected.body
	return failed
}

// rejectUnread answers a client that may be a visitor who must not be let in,
// whatever the fallback says.
func (r *Relay) rejectUnread(x *exchange) response {
	order := r.activeOrder(x.in)
	decision := x.in.policy.Fallback(policy.Unreadable, order)
	if decision.Verdict != visit.Reject {
		decision = x.in.policy.Refuse(policy.Unreadable)
	}
	return r.respond(x, visit.NewVisitKey(""), order, decision, nil)
}

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
	d, reason := delivery{}, b.reason
	if reason == "" {
		d, reason = decode(b.text, r.limits.JSONDepth)
	}
	kind := visit.Kind("")
	if reason == "" {
		kind, reason = in.kind(q.Kind, &d)
	}
	switch {
	case reason != "":
		return nil, fmt.Errorf("still not understood: %s", reason)
	case !kind.IsEvent():
		return nil, ErrCheckInRequest
	}
	x := &exchange{in: in, id: q.RequestID, trace: q.Trace, start: q.Received, kind: kind, synthetic: q.Synthetic, resubmitted: true}
	return x.newEvent(&d), nil
}
