package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// unreadable keeps a body that could not be understood, and then answers: by
// the fallback where a visitor may be waiting, else with an error.
func (r *Relay) unreadable(c *call, in *Integration, req *http.Request, s sent, reason visit.Reason) answer {
	r.metrics.rejected.WithLabelValues(in.Name, string(reason)).Inc()
	q := c.quarantined(in, reason, s)
	r.settleByBeginning(c, in, s.text)
	return r.account(in, func() (outcome, answer) {
		if _, err := r.store(c, in, req, q.Message(r.subjects)); err != nil {
			return outcomeRefused, errorAnswer(outcomeRefused)
		}
		return outcomeQuarantined, r.cannotRead(c, in, outcomeQuarantined)
	})
}

// unread keeps a body of which at most the beginning could be read, and answers by
// what that says of the event. Nobody is told 200 for an event that was not stored.
// Where the beginning does not say whether it is one, a visitor may be waiting as
// well: the status stops the check-in, and the body has a text to read.
func (r *Relay) unread(c *call, in *Integration, req *http.Request, s sent) answer {
	r.metrics.rejected.WithLabelValues(in.Name, string(s.reason)).Inc()
	q := c.quarantined(in, s.reason, s)
	if s.cut {
		q.ContentLength = max(req.ContentLength, 0)
	}
	r.settleByBeginning(c, in, s.text)
	s = sent{reason: s.reason} // while it is stored, what it was made of need not be held
	return r.account(in, func() (outcome, answer) {
		_, err := r.store(c, in, req, q.Message(r.subjects))
		final, useless := notAgain[s.reason]
		switch {
		case err != nil && useless:
			return outcomeRefused, r.answerUnread(c, in, consequences[final], final)
		case err != nil:
			return outcomeRefused, errorAnswer(outcomeRefused)
		case useless:
			return outcomeQuarantined, r.answerUnread(c, in, consequences[final], final)
		case s.reason == visit.ReasonIncomplete:
			return outcomeQuarantined, r.answerUnread(c, in, incomplete, outcomeQuarantined)
		default:
			return outcomeQuarantined, r.cannotRead(c, in, outcomeQuarantined)
		}
	})
}

func (c *call) quarantined(in *Integration, reason visit.Reason, s sent) visit.Quarantined {
	return visit.Quarantined{
		RequestID: c.id, Trace: c.trace, Site: in.Site, Integration: in.Name,
		Reason: reason, Kind: c.kind, Received: c.received(), Synthetic: c.synthetic, Body: s.raw,
		ContentEncoding: strings.Join(s.encodings, ", "), Cut: s.cut,
	}
}

// settleByBeginning decides what a call is that cannot be read further than its
// beginning, where its URL does not.
func (r *Relay) settleByBeginning(c *call, in *Integration, text []byte) {
	if c.kind == "" {
		c.kind = in.kindOf(eventOfBeginning(text, r.limits.JSONDepth))
	}
}

// cannotRead answers what was not understood: with the fallback, unless the URL
// says that no visitor waits.
func (r *Relay) cannotRead(c *call, in *Integration, o outcome) answer {
	if c.kind.IsEvent() {
		return errorAnswer(o)
	}
	a := r.fallback(c, in, policy.Unreadable)
	a.outcome = o
	return a
}

// turnAway answers a call whose body there was no room for. Only where the URL
// says that nobody but a visitor can be waiting is a fallback truthful: an event
// must not be told 200.
func (r *Relay) turnAway(c *call, in *Integration) answer {
	if c.kind == visit.KindCheckInRequest {
		return r.fallback(c, in, policy.Overloaded)
	}
	return r.account(in, func() (outcome, answer) {
		return outcomeRefused, errorAnswer(outcomeRefused)
	})
}

// notAgain are the reasons for which to send the same again would not help, with
// what follows whether it could be kept or not.
var notAgain = map[visit.Reason]outcome{
	visit.ReasonTooLarge:        outcomeTooLarge,
	visit.ReasonUnknownEncoding: outcomeEncoding,
}

func (r *Relay) answerUnread(c *call, in *Integration, follows consequence, o outcome) answer {
	switch c.kind {
	case visit.KindCheckInRequest:
		return r.cannotRead(c, in, o)
	case "":
		a := r.rejectUnread(c, in)
		a.outcome, a.status, a.header = o, follows.status, follows.answer(o).header
		return a
	default:
		return follows.answer(o)
	}
}

// rejectUnread answers a caller who may be a visitor and must not be let in,
// whatever the fallback says.
func (r *Relay) rejectUnread(c *call, in *Integration) answer {
	st := r.standing(in)
	given := in.policy.Fallback(policy.Unreadable, st)
	if given.Verdict != visit.Reject {
		given = in.policy.Refuse(policy.Unreadable)
	}
	return r.answerDoor(c, in, visit.Origin{Visit: visit.NewVisitKey(""), Synthetic: c.synthetic}, st, given, nil)
}

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
		kind, reason = in.kind(q.Kind, &d)
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
