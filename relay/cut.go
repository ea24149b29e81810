package relay

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// errTooLarge means that a body is larger than the relay reads.
var errTooLarge = errors.New("the body is too large")

// dropped is how much of a body that is too large is read and thrown away, so that
// a caller that goes on writing comes to read the answer: many do not before they
// have sent everything, and find the connection reset instead.
const dropped = 4 << 20

// dropRest reads on for as long as a visitor may wait.
func (r *Relay) dropRest(c *call, in *Integration, req *http.Request) {
	c.readUntil(r.readDeadline(c, in))
	_, err := io.CopyN(io.Discard, req.Body, dropped)
	if c.arrived = errors.Is(err, io.EOF); c.arrived {
		c.conn.SetReadDeadline(time.Time{})
		return
	}
	c.endedBy(err)
}

// unread keeps a body of which at most the beginning could be read, and answers by
// what that says of the event. Nobody is told 200 for an event that was not stored.
// Where the beginning does not say whether it is one, a visitor may be waiting as
// well: the status stops the check-in, and the body has a text to read.
func (r *Relay) unread(c *call, in *Integration, req *http.Request, s sent) answer {
	r.metrics.rejected.WithLabelValues(in.Name, string(s.reason)).Inc()
	q := c.quarantined(in, s.reason, s)
	if s.cut {
		q.Announced = max(req.ContentLength, 0)
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

// settleByBeginning decides what a call is that cannot be read further than its
// beginning, where its URL does not.
func (r *Relay) settleByBeginning(c *call, in *Integration, text []byte) {
	if c.kind == "" {
		c.kind = in.kindOf(eventOfBeginning(text, r.limits.JSONDepth))
	}
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
	given := in.panel.Policy.Fall(policy.Unreadable, st)
	if given.Verdict != visit.Reject {
		given = in.panel.Policy.Refuse(policy.Unreadable)
	}
	return r.answerDoor(c, in, visit.Origin{Visit: visit.NewVisitKey(""), Synthetic: c.synthetic}, st, given, nil)
}

// eventOfBeginning returns the event that the beginning of a body names, or the
// empty text: the name may come after what was read.
func eventOfBeginning(beginning []byte, maxDepth int) string {
	if tooDeep(beginning, maxDepth) {
		return ""
	}
	outer, inner := delivery{maxDepth: maxDepth}, delivery{maxDepth: maxDepth}
	in := jsontext.NewDecoder(bytes.NewBuffer(beginning), lenient...)
	// An error is sure to come: the end is missing.
	_ = eachField(in, func(in *jsontext.Decoder, name jsontext.Value) error {
		if s := string(name); s == `"payload"` || s == `"body"` {
			return eachField(in, inner.readField)
		}
		return outer.readField(in, name)
	})
	if !outer.hasPass && inner.isEvent {
		return inner.event
	}
	return outer.event
}
