package relay

import (
	"context"
	"errors"
	"time"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// storeEvent stores that a visitor was checked in or out, and says so only then.
func (r *Relay) storeEvent(x *exchange, d *fields.Body) response {
	e := x.newEvent(d)
	x.eventID = e.ID
	if r.visitIDs.conflict(x.in.Name, x.kind, d.VisitID, d.Date, d.Source) {
		r.metrics.idConflicts.WithLabelValues(x.in.Name).Inc()
	}
	if len(e.Missing) > 0 {
		r.noteIncomplete(x, e.Missing)
	}
	r.noteExternalID(x, d)
	if e.TimeBasis != visit.TimeReceived {
		r.metrics.eventAge.Observe(max(0, x.received().Sub(e.Time).Seconds()))
	}
	return r.inLedger(x.in, func() (result, response) {
		m, err := e.Message(r.subjects)
		e = nil // while the message waits, what it was made of need not be held
		if err != nil {
			x.err = err
			return resultRefused, errorResponse(resultRefused)
		}
		receipt, err := r.store(x, m)
		switch {
		case err != nil:
			return resultRefused, errorResponse(resultRefused)
		case receipt.Duplicate:
			return resultDuplicate, eventResponse(resultDuplicate, x.eventID)
		case receipt.Spooled:
			return resultSpooled, eventResponse(resultSpooled, x.eventID)
		default:
			return resultStored, eventResponse(resultStored, x.eventID)
		}
	})
}

// newEvent is the event in the contract's words.
func (x *exchange) newEvent(d *fields.Body) *visit.Event {
	origin, when := x.origin(d)
	fingerprint := visit.Fingerprint{PassID: d.VisitID, Date: when.Written, PreciseDate: when.Precise, Body: d.Source}
	if when.Basis == visit.TimeReceived {
		fingerprint.Date = "" // not read, so it need not be a date at all
	}
	if x.resubmitted {
		fingerprint.ReplayedRequestID = x.id
	}
	e := &visit.Event{
		ID: visit.EventID(x.in.Name, x.kind, fingerprint), Kind: x.kind, Origin: origin, Pass: d.Pass, Source: d.Source,
		Missing: x.in.lacks(d),
	}
	if x.kind == visit.KindCheckedOut {
		e.Cause = d.Cause
	}
	return e
}

// inLedger enters a received body into the ledger, and then the result. Both sides
// balance also when storing it panics.
func (r *Relay) inLedger(in *Integration, store func() (result, response)) response {
	r.metrics.received.WithLabelValues(in.Name).Inc()
	settled := resultRefused
	defer func() { r.metrics.settled.WithLabelValues(in.Name, string(settled)).Inc() }()
	var res response
	settled, res = store()
	return res
}

// ledgerResults are the results of bodies in the ledger.
var ledgerResults = []result{resultStored, resultDuplicate, resultSpooled, resultQuarantined, resultRefused}

// store waits for its turn and publishes. What is under way is not given up when
// the client disconnects: the event is an event all the same. The budget of an event
// begins when its body is there; where a visitor may be waiting, the budget of the
// decision begins with the request.
func (r *Relay) store(x *exchange, m visit.Message) (visit.Receipt, error) {
	deadline := time.Now().Add(r.limits.StoreBudget)
	if !x.kind.IsEvent() {
		deadline = x.start.Add(x.in.Budget)
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(x.req.Context()), deadline)
	defer cancel()
	start := time.Now()
	receipt, err := r.publish(ctx, x, m)
	if err != nil {
		x.err = err
	}
	label := publishResult(receipt, err)
	r.metrics.publishes.WithLabelValues(x.in.Name, label).Inc()
	r.metrics.publishSeconds.WithLabelValues(label).Observe(time.Since(start).Seconds())
	return receipt, err
}

func (r *Relay) publish(ctx context.Context, x *exchange, m visit.Message) (visit.Receipt, error) {
	reserved, err := r.limiter.acquireEvent(ctx, x.in.Name, x.memory, x.size)
	if err != nil {
		return visit.Receipt{}, err
	}
	defer r.limiter.advance()
	defer reserved.Release()
	return r.publisher.Publish(ctx, m)
}

// publishResult names how an attempt to store ended, for metrics.
func publishResult(receipt visit.Receipt, err error) string {
	switch {
	case err == nil && receipt.Duplicate:
		return string(resultDuplicate)
	case err == nil && receipt.Spooled:
		return string(resultSpooled)
	case err == nil:
		return string(resultStored)
	}
	for _, known := range publishErrors {
		if errors.Is(err, known.err) {
			return known.label
		}
	}
	return publishFailed
}

const publishFailed = "failed"

var publishErrors = []struct {
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

// publishResults are all results of an attempt to store.
var publishResults = func() []string {
	all := []string{string(resultStored), string(resultDuplicate), string(resultSpooled), publishFailed}
	for _, known := range publishErrors {
		all = append(all, known.label)
	}
	return all
}()
