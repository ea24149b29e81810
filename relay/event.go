package relay

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// event stores that a visitor was checked in or out, and says so only then.
func (r *Relay) event(c *call, in *Integration, req *http.Request, d *delivery, body []byte) answer {
	e := c.happened(in, d, body)
	c.eventID = e.ID
	if r.identities.conflict(in.Name, c.kind, d.passID(), d.date, body) {
		r.metrics.idConflicts.WithLabelValues(in.Name).Inc()
	}
	if !in.identifies(&d.pass) {
		r.unidentified(c, in)
	}
	if e.TimeBasis != visit.TimeReceived {
		r.metrics.eventAge.Observe(max(0, c.start.Sub(e.Time).Seconds()))
	}
	return r.account(in, func() (outcome, answer) {
		m, err := e.Message(r.subjects)
		e = nil // while the message waits, what it was made of need not be held
		if err != nil {
			c.fault = err
			return outcomeRefused, errorAnswer(outcomeRefused)
		}
		receipt, err := r.store(c, in, req, m)
		switch {
		case err != nil:
			return outcomeRefused, errorAnswer(outcomeRefused)
		case receipt.Duplicate:
			return outcomeDuplicate, eventAnswer(outcomeDuplicate, c.eventID)
		case receipt.Spooled:
			return outcomeSpooled, eventAnswer(outcomeSpooled, c.eventID)
		default:
			return outcomeStored, eventAnswer(outcomeStored, c.eventID)
		}
	})
}

// happened is the event in the contract's words.
func (c *call) happened(in *Integration, d *delivery, body []byte) *visit.Event {
	origin, when := c.origin(in, d)
	fingerprint := visit.Fingerprint{PassID: d.passID(), Date: when.written, PreciseDate: when.precise, Body: body}
	if c.again {
		fingerprint.ReplayedRequestID = c.id
	}
	e := &visit.Event{
		ID: visit.EventID(in.Name, c.kind, fingerprint), Kind: c.kind, Origin: origin, Pass: d.pass, Source: body,
	}
	if c.kind == visit.KindCheckedOut {
		e.Cause = d.cause()
	}
	return e
}

// account enters a received body into the ledger, and then what became of it.
// Both sides balance also when keeping it panics.
func (r *Relay) account(in *Integration, keep func() (outcome, answer)) answer {
	r.metrics.received.WithLabelValues(in.Name).Inc()
	entry := outcomeRefused
	defer func() { r.metrics.settled.WithLabelValues(in.Name, string(entry)).Inc() }()
	var a answer
	entry, a = keep()
	return a
}

// store waits for its turn and publishes. What is under way is not given up when
// the caller hangs up: the event is an event all the same. The budget of an event
// begins when its body is there; where a visitor may be waiting, the door's does
// with the call.
func (r *Relay) store(c *call, in *Integration, req *http.Request, m visit.Message) (visit.Receipt, error) {
	deadline := time.Now().Add(r.limits.StoreBudget)
	if !c.kind.IsEvent() {
		deadline = c.start.Add(in.Budget)
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(req.Context()), deadline)
	defer cancel()
	start := time.Now()
	receipt, err := r.publish(ctx, c, in.Name, m)
	if err != nil {
		c.fault = err
	}
	result := publishResult(receipt, err)
	r.metrics.publishes.WithLabelValues(in.Name, result).Inc()
	r.metrics.publishSeconds.WithLabelValues(result).Observe(time.Since(start).Seconds())
	return receipt, err
}

func (r *Relay) publish(ctx context.Context, c *call, integration string, m visit.Message) (visit.Receipt, error) {
	place, err := r.limiter.acquireEvent(ctx, integration, c.memory, c.size)
	if err != nil {
		return visit.Receipt{}, err
	}
	defer r.limiter.advance()
	defer place.Release()
	return r.publisher.Publish(ctx, m)
}

// publishResult names how an attempt to store ended, for metrics.
func publishResult(receipt visit.Receipt, err error) string {
	switch {
	case err == nil && receipt.Duplicate:
		return "duplicate"
	case err == nil && receipt.Spooled:
		return "spooled"
	case err == nil:
		return "stored"
	}
	for _, known := range publishFaults {
		if errors.Is(err, known.err) {
			return known.label
		}
	}
	return "failed"
}

var publishFaults = []struct {
	err   error
	label string
}{
	{errOverloaded, "overloaded"},
	{visit.ErrDisconnected, "disconnected"},
	{visit.ErrDenied, "denied"},
	{visit.ErrStreamFull, "stream_full"},
	{visit.ErrStreamMissing, "stream_missing"},
	{visit.ErrTooLarge, "too_large"},
	{visit.ErrTimeout, "timeout"},
	{context.DeadlineExceeded, "timeout"},
}

func publishResults() []string {
	results := []string{"stored", "duplicate", "spooled", "failed"}
	for _, known := range publishFaults {
		results = append(results, known.label)
	}
	return results
}
