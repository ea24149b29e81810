package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sine-relay/sine-relay/internal/share"
)

// errOverloaded is wrapped where a bound on what is in flight was reached and
// the caller's time did not suffice to wait.
var errOverloaded = errors.New("overloaded")

// limiter bounds what is in flight: bodies in memory, check-in requests that wait
// for a decision, events that are being stored. Events do not use the places of
// check-in requests, nor these the events', and events leave memory free for the
// bodies of check-in requests. Of each bounded thing an integration has its share.
type limiter struct {
	limits      Limits
	bodies      *share.Limiter // bytes
	eventBodies *share.Limiter // the part of them that events may have
	requests    *share.Limiter
	events      *share.Limiter
	waiting     *share.Limiter
}

func newLimiter(l Limits) *limiter {
	largest := BodyCost(l.Body)
	return &limiter{
		limits:      l,
		bodies:      share.NewLimiter(max(l.BodyMemory, largest)),
		eventBodies: share.NewLimiter(max(l.BodyMemory/4*3, largest)),
		requests:    share.NewLimiter(l.Requests),
		events:      share.NewLimiter(l.Facts),
		waiting:     share.NewLimiter(l.WaitingFacts),
	}
}

// among says how many integrations share what is bounded.
func (l *limiter) among(integrations int) {
	for _, one := range []*share.Limiter{l.bodies, l.eventBodies, l.requests, l.events, l.waiting} {
		one.Among(integrations)
	}
}

// acquireBody reserves memory for a body of the announced length, which is
// negative when it is not known, and waits for it until the deadline.
func (l *limiter) acquireBody(ctx context.Context, integration string, deadline time.Time, length int64) (*bodyReservation, error) {
	if length < 0 || length > l.limits.Body {
		length = l.limits.Body
	}
	cost := BodyCost(length)
	if r, ok := l.bodies.TryAcquire(integration, cost); ok {
		return &bodyReservation{r}, nil
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	r, err := l.bodies.Acquire(ctx, integration, cost)
	if err != nil {
		return nil, fmt.Errorf("%w: no memory for a body of up to %d bytes, of %d bytes for all bodies %d are in use", errOverloaded, length, l.bodies.Capacity(), l.bodies.Taken())
	}
	return &bodyReservation{r}, nil
}

// bodyReservation is memory reserved for one body.
type bodyReservation struct{ share.Reservation }

// shrink gives back what a body of that length does not need.
func (r *bodyReservation) shrink(length int) { r.Reservation = r.Shrink(BodyCost(int64(length))) }

// acquireRequest takes a place for a check-in request if there is one right now:
// waiting would only make a late answer later.
func (l *limiter) acquireRequest(integration string) (share.Reservation, error) {
	r, ok := l.requests.TryAcquire(integration, 1)
	if !ok {
		return r, fmt.Errorf("%w: %d of %d check-in requests in flight, and no more of this integration", errOverloaded, l.requests.Taken(), l.requests.Capacity())
	}
	return r, nil
}

// acquireEvent waits until an event with a body of that length may be stored. What
// waits is bounded by number and by bytes: it would fill the memory, and check-in
// requests would wait for it.
func (l *limiter) acquireEvent(ctx context.Context, integration string, length int) (release func(), err error) {
	memory, ok := l.eventBodies.TryAcquire(integration, BodyCost(int64(length)))
	if !ok {
		return nil, fmt.Errorf("%w: no memory for an event of %d bytes, of %d bytes for events %d are in use", errOverloaded, length, l.eventBodies.Capacity(), l.eventBodies.Taken())
	}
	place, err := l.placeForEvent(ctx, integration)
	if err != nil {
		memory.Release()
		return nil, err
	}
	return func() { place.Release(); memory.Release() }, nil
}

func (l *limiter) placeForEvent(ctx context.Context, integration string) (share.Reservation, error) {
	if place, ok := l.events.TryAcquire(integration, 1); ok {
		return place, nil
	}
	waits, ok := l.waiting.TryAcquire(integration, 1)
	if !ok {
		return waits, fmt.Errorf("%w: %d of %d events are waiting, and no more of this integration", errOverloaded, l.waiting.Taken(), l.waiting.Capacity())
	}
	defer waits.Release()
	place, err := l.events.Acquire(ctx, integration, 1)
	if err != nil {
		return place, fmt.Errorf("%w: %d of %d events in flight", errOverloaded, l.events.Taken(), l.events.Capacity())
	}
	return place, nil
}
