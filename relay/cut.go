package relay

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sine-relay/sine-relay/relay/door"
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

// cut keeps the beginning of a body of which there is no more, and answers by what
// it says of the event. Nobody is told 200 for an event of which only a part is kept.
// Where the beginning does not say whether it is one, a visitor may be waiting as
// well: the status stops the check-in, and the body has a text to read.
func (r *Relay) cut(c *call, in *Integration, req *http.Request, beginning []byte, reason visit.Reason) answer {
	r.metrics.rejected.WithLabelValues(in.Name, string(reason)).Inc()
	q := c.quarantined(in, reason, beginning)
	q.Announced = max(req.ContentLength, 0)
	if c.kind == "" {
		c.kind = in.kindOf(eventOfBeginning(beginning, r.limits.JSONDepth))
	}
	return r.account(in, func() (outcome, answer) {
		_, err := r.store(c, in, req, q.Message(r.subjects))
		switch {
		case reason == visit.ReasonTooLarge && err != nil: // to send it again would not help
			return outcomeRefused, r.answerCut(c, in, consequences[outcomeTooLarge], outcomeTooLarge)
		case reason == visit.ReasonTooLarge:
			return outcomeQuarantined, r.answerCut(c, in, consequences[outcomeTooLarge], outcomeTooLarge)
		case err != nil:
			return outcomeRefused, errorAnswer(outcomeRefused)
		default:
			return outcomeQuarantined, r.answerCut(c, in, incomplete, outcomeQuarantined)
		}
	})
}

func (r *Relay) answerCut(c *call, in *Integration, follows consequence, o outcome) answer {
	switch c.kind {
	case visit.CheckInRequest:
		return r.cannotRead(c, in, o)
	case "":
		a := r.rejectUnread(c, in)
		a.outcome, a.status = o, follows.status
		return a
	default:
		return follows.answer(o)
	}
}

// rejectUnread answers a caller who may be a visitor and must not be let in,
// whatever the fallback says.
func (r *Relay) rejectUnread(c *call, in *Integration) answer {
	st := r.standing(in)
	given := in.panel.Policy.Fall(door.Unreadable, st)
	if given.Verdict != visit.Reject {
		given = in.panel.Policy.Refuse(door.Unreadable)
	}
	return r.answerDoor(c, in, visit.Origin{Visit: visit.NewKey(""), Synthetic: c.synthetic}, st, given, nil)
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
