package relay

import (
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
		x.kind = x.in.kindOf(x.in.Fields.EventOfBeginning(b.text, r.limits.JSONDepth))
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
		Reason: reason, Kind: x.kind, Received: x.received(), TimeZone: x.in.Zone.String(), Synthetic: x.synthetic, Body: b.raw,
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
