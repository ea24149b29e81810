package subscribertest

import (
	"context"
	"fmt"
	"runtime/debug"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber/internal/call"
)

// Handle is the function of a consumer of events.
type Handle = func(ctx context.Context, e visit.Event) error

// maxDeliveries is after how many failures the test is over, unless a consumer gives up
// earlier.
const maxDeliveries = 10

// Delivery is one call of the handler.
type Delivery struct {
	// ID is the event's.
	ID string
	// Why the event was delivered.
	Why Why
	// Err is what the handler returned, or its panic.
	Err error
}

// Why says why an event was delivered.
type Why string

const (
	// New is the first delivery.
	New Why = "new"
	// AfterError is a redelivery because the handler failed.
	AfterError Why = "after an error"
	// Again is a repeat of an event that was handled: its acknowledgement was lost.
	Again Why = "again"
	// AfterRestart is a repeat of one that was handled, after the program and NATS were
	// restarted.
	AfterRestart Why = "after a restart"
)

// Deliver delivers events to a handler as [subscriber.Events] may do at the worst, one after
// another and each in its wire form:
//
//   - each event in its order; after an error or a panic again, behind the others;
//   - each event that was handled once more, as when its acknowledgement was lost;
//   - all of them once more, as after a restart of NATS.
//
// So a test looks at what the handler has done: for each event once. Corrections are not
// delivered; see [Consumer]. Deliver returns each call, in order. The test fails when the
// handler has failed for one event ten times.
//
// [subscriber.Events]: https://pkg.go.dev/github.com/sine-relay/sine-relay/visit/subscriber#Events
func Deliver(t testing.TB, handle Handle, events ...visit.Event) []Delivery {
	t.Helper()
	return Consumer{Start: func() Handle { return handle }}.Deliver(t, events...)
}

// Consumer is a program that receives events.
type Consumer struct {
	// Start returns the program's handler as it is after a start: it is called twice, so
	// that what is in memory alone is lost at the restart. Required.
	Start func() Handle
	// Corrections and MaxDeliver are as in subscriber.EventsConfig. With MaxDeliver an
	// event whose handler fails so often is given up, which is no failure of the test.
	Corrections bool
	MaxDeliver  int
}

// Deliver is as the function of that name. In place of the handler that got the events
// first, another one gets them after the restart.
func (c Consumer) Deliver(t testing.TB, events ...visit.Event) []Delivery {
	t.Helper()
	d := deliveries{t: t, consumer: c}
	d.handle = c.Start()
	handled := d.all(New, d.received(events))
	d.all(Again, handled)
	d.handle = c.Start()
	d.all(AfterRestart, handled)
	return d.done
}

type deliveries struct {
	t        testing.TB
	consumer Consumer
	handle   Handle
	done     []Delivery
}

// received are the events that the program gets, in their wire form.
func (d *deliveries) received(events []visit.Event) (all [][]byte) {
	d.t.Helper()
	for i, e := range events {
		m, err := e.Message(visit.Subjects{})
		if err == nil {
			_, err = call.Event(m.Data)
		}
		if err != nil {
			d.t.Fatalf("event %d of those to deliver cannot come from a relay: %v", i+1, err)
		}
		if !e.IsCorrection() || d.consumer.Corrections {
			all = append(all, m.Data)
		}
	}
	return all
}

// all delivers each message until it is handled, and returns those that were.
func (d *deliveries) all(why Why, messages [][]byte) (handled [][]byte) {
	d.t.Helper()
	given := d.consumer.MaxDeliver
	for n := 1; len(messages) > 0; n++ {
		var failed [][]byte
		for _, m := range messages {
			err := d.one(why, m)
			if err == nil {
				handled = append(handled, m)
				continue
			}
			failed = append(failed, m)
			if n == maxDeliveries && given == 0 {
				d.t.Fatalf("the handler failed %d times for one event, which would be redelivered for as long as it is stored: %v", n, err)
			}
		}
		if given > 0 && n >= given {
			return handled
		}
		messages, why = failed, AfterError
	}
	return handled
}

func (d *deliveries) one(why Why, message []byte) (err error) {
	e, err := call.Event(message)
	if err != nil {
		return err // it was read before
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the handler panicked: %v\n%s", v, debug.Stack())
		}
		d.done = append(d.done, Delivery{ID: e.ID, Why: why, Err: err})
	}()
	return d.handle(d.t.Context(), e)
}

// Correct returns the correction that a relay's operator makes of an event, or of a
// correction.
func Correct(t testing.TB, current visit.Event, change func(e *visit.Event)) visit.Event {
	t.Helper()
	corrected := current
	change(&corrected)
	if err := corrected.Correct(&current); err != nil {
		t.Fatalf("correct event %s: %v", current.ID, err)
	}
	return corrected
}
