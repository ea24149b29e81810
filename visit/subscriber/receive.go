package subscriber

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber/internal/call"
)

// ErrInvalidEvent is reported for a message that cannot be read as an event. It is not
// redelivered: its bytes are the same every time. It remains in the stream under its
// sequence.
var ErrInvalidEvent = call.ErrInvalidEvent

// EventError is reported for each delivery that failed.
type EventError struct {
	// Subject and Sequence are where the message is in the stream.
	Subject  string
	Sequence uint64
	// Deliveries is the number of deliveries so far to this durable.
	Deliveries uint64
	// ID is that of the event, or empty when the message is invalid.
	ID string
	// Final means that it is not redelivered. Otherwise it is, after RetryAfter.
	Final      bool
	RetryAfter time.Duration
	// Err is the handler's error, a [*PanicError], or [ErrNotAnEvent].
	Err error
}

func (e *EventError) Error() string {
	return fmt.Sprintf("event %q on %s, sequence %d, delivery %d: %v", e.ID, e.Subject, e.Sequence, e.Deliveries, e.Err)
}

func (e *EventError) Unwrap() error { return e.Err }

// receive handles one message and acknowledges it.
func (r *receiver) receive(m jetstream.Msg) {
	event, err := call.Event(m.Data())
	if err != nil {
		r.cfg.OnError(r.failure(m, event, err))
		r.report("terminate", m.TermWithReason("invalid event"))
		return
	}
	if event.IsCorrection() && !r.cfg.Corrections {
		r.report("acknowledge", m.Ack())
		return
	}
	stop, began := r.extend(m), time.Now()
	err = recovered(func() error { return r.handle(r.working, event) })
	stop()
	if err != nil {
		failure := r.failure(m, event, err)
		if !failure.Final {
			failure.RetryAfter = r.later(m, failure.RetryAfter, time.Since(began))
		}
		r.cfg.OnError(failure)
		r.report("return", m.NakWithDelay(failure.RetryAfter))
		return
	}
	r.report("acknowledge", m.Ack())
}

// extend reports a handler as in progress, for one that takes longer than AckWait,
// until stop is called or the handlers' context ends.
func (r *receiver) extend(m jetstream.Msg) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		beat := time.NewTicker(max(r.cfg.AckWait/3, time.Millisecond))
		defer beat.Stop()
		for {
			select {
			case <-quit:
				return
			case <-r.working.Done():
				return
			case <-beat.C:
				r.report("extend", m.InProgress())
			}
		}
	}()
	// It must have ended before the acknowledgement: "in progress" after a negative
	// one would undo its delay.
	return func() { close(quit); <-ended }
}

func (r *receiver) failure(m jetstream.Msg, e visit.Event, err error) *EventError {
	f := &EventError{Subject: m.Subject(), ID: e.ID, Err: err, Deliveries: 1}
	if meta, err := m.Metadata(); err == nil {
		f.Sequence, f.Deliveries = meta.Sequence.Stream, meta.NumDelivered
	}
	given := r.cfg.MaxDeliver > 0 && f.Deliveries >= uint64(r.cfg.MaxDeliver)
	if f.Final = given || errors.Is(err, ErrInvalidEvent); !f.Final {
		f.RetryAfter = r.cfg.Backoff[min(f.Deliveries, uint64(len(r.cfg.Backoff)))-1]
	}
	return f
}

// report reports an acknowledgement that could not be sent. The event is redelivered.
func (r *receiver) report(what string, err error) {
	if err != nil {
		r.cfg.OnError(fmt.Errorf("%s a message: %w", what, err))
	}
}

// retryThrottle keeps redeliveries from taking all the time. NATS sends them before new
// events: a hundred events that each take six seconds to fail would, with a backoff of
// ten minutes, fill those, and no new event would ever be delivered.
type retryThrottle struct {
	mu sync.Mutex
	// until is when the redeliveries scheduled so far are done.
	until time.Time
}

// later is the backoff, or more, so that redeliveries leave a quarter of the workers'
// time to new events.
func (r *receiver) later(m jetstream.Msg, backoff, took time.Duration) time.Duration {
	if meta, err := m.Metadata(); err == nil && meta.NumPending == 0 {
		return backoff
	}
	return max(backoff, r.retries.add(time.Now(), took*4/3/time.Duration(r.cfg.Concurrency)))
}

// add schedules one more redelivery, and returns its delay.
func (s *retryThrottle) add(now time.Time, room time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until.Before(now) {
		s.until = now
	}
	s.until = s.until.Add(room)
	return s.until.Sub(now)
}
