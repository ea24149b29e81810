package subscriber

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// ErrInvalidEvent is reported for a message that cannot be read as an event. It
// is not delivered again: its bytes are the same every time. It stays in the
// stream, where its sequence finds it.
var ErrInvalidEvent = errors.New("the message is not an event")

// EventError is reported for each delivery of an event that was not handled.
type EventError struct {
	// Subject and Sequence are where the message is in the stream.
	Subject  string
	Sequence uint64
	// Deliveries is how often this durable has had it.
	Deliveries uint64
	// ID is the event's, or empty when the message is none.
	ID string
	// Final means that it is not delivered again. Otherwise that happens
	// after Retry.
	Final      bool
	RetryAfter time.Duration
	// Err is the handler's error, a [*PanicError], or [ErrNotAnEvent].
	Err error
}

func (e *EventError) Error() string {
	return fmt.Sprintf("event %q on %s, sequence %d, delivery %d: %v", e.ID, e.Subject, e.Sequence, e.Deliveries, e.Err)
}

func (e *EventError) Unwrap() error { return e.Err }

// receive handles one message and answers for it.
func (r *receiver) receive(m jetstream.Msg) {
	event, err := parse(m.Data())
	if err != nil {
		r.cfg.OnError(r.failure(m, event, err))
		r.report("terminate", m.TermWithReason("not an event"))
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
		r.report("give back", m.NakWithDelay(failure.RetryAfter))
		return
	}
	r.report("acknowledge", m.Ack())
}

// extend tells the server that a handler is at work, for one that takes longer
// than AckWait, until stop is called or the handlers' context ends.
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
	// It must have ended before the answer: "in progress" after a refusal
	// would undo its delay.
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

// parse reads an event. A kind that is not known yet is one all the same:
// within v1 kinds may be added.
func parse(data []byte) (visit.Event, error) {
	var e visit.Event
	if err := json.Unmarshal(data, &e); err != nil {
		return visit.Event{}, ErrInvalidEvent // the decoder's error may quote the message
	}
	if e.ID == "" || e.Kind == "" {
		return visit.Event{}, ErrInvalidEvent
	}
	return e, nil
}

// report tells of an answer that could not be sent. The event comes again.
func (r *receiver) report(what string, err error) {
	if err != nil {
		r.cfg.OnError(fmt.Errorf("%s a message: %w", what, err))
	}
}

// spacing keeps retries from taking all the time. NATS delivers what comes again
// before what is new: a hundred events that each take six seconds to fail would,
// with a backoff of ten minutes, fill those, and nothing else would ever come.
type spacing struct {
	mu sync.Mutex
	// until is when the retries that were promised so far have had their time.
	until time.Time
}

// later is the backoff, or more, so that retries leave a quarter of the workers'
// time to events that wait.
func (r *receiver) later(m jetstream.Msg, backoff, took time.Duration) time.Duration {
	if meta, err := m.Metadata(); err == nil && meta.NumPending == 0 {
		return backoff
	}
	return max(backoff, r.retries.add(time.Now(), took*4/3/time.Duration(r.cfg.Concurrency)))
}

// add makes room for one more retry, and returns how far away it is.
func (s *spacing) add(now time.Time, room time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until.Before(now) {
		s.until = now
	}
	s.until = s.until.Add(room)
	return s.until.Sub(now)
}
