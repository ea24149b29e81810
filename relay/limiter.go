package relay

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sine-relay/sine-relay/internal/share"
	"github.com/sine-relay/sine-relay/visit"
)

// Limits bound what clients can make the relay hold. Each must be positive.
type Limits struct {
	// Body is the largest body in bytes; a larger one is not read on.
	Body int64
	// Header is the largest header in bytes.
	Header int
	// JSONDepth is how deep a body may be nested.
	JSONDepth int
	// ReadTimeout, WriteTimeout and IdleTimeout bound a connection, so that
	// a slow client holds nothing. WriteTimeout must exceed every budget.
	ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	// Connections is how many may be open on the public listener.
	Connections int
	// StoreBudget is how long storing an event may take, from its body being
	// there to the response.
	StoreBudget time.Duration
	// CheckInRequests is how many of them may be in flight.
	CheckInRequests int64
	// Events is how many events are being stored at once; up to WaitingEvents
	// more wait for their turn.
	Events, WaitingEvents int64
	// BodyMemory is how much memory exchanges with their bodies take up at once,
	// each as [BodyCost] says. A quarter of it is kept free of events that are being
	// stored or wait, for check-in requests.
	BodyMemory int64
}

// errOverloaded is wrapped where a bound on what is in flight was reached and
// the exchange's time did not suffice to wait.
var errOverloaded = errors.New("overloaded")

// limiter bounds what is in flight: bodies in memory, check-in requests that wait
// for a decision, events that are being stored. Events do not use the places of
// check-in requests, nor these the events', and events leave memory free for the
// bodies of check-in requests. Of each bounded thing an integration has its share.
type limiter struct {
	limits      Limits
	bodies      *share.Limiter // bytes
	eventBodies *share.Limiter // the part of them that events may have
	checkIns    *share.Limiter
	events      *share.Limiter
	waiting     *share.Limiter
	progress    atomic.Pointer[time.Time] // when an event was last stored or begun to be
}

func newLimiter(l Limits) *limiter {
	largest := BodyCost(l.Body)
	return &limiter{
		limits:      l,
		bodies:      share.NewLimiter(max(l.BodyMemory, largest)),
		eventBodies: share.NewLimiter(max(l.BodyMemory/4*3, largest)),
		checkIns:    share.NewLimiter(l.CheckInRequests),
		events:      share.NewLimiter(l.Events),
		waiting:     share.NewLimiter(l.WaitingEvents),
	}
}

// among says how many integrations share what is bounded.
func (l *limiter) among(integrations int) {
	for _, one := range []*share.Limiter{l.bodies, l.eventBodies, l.checkIns, l.events, l.waiting} {
		one.Among(integrations)
	}
}

// smallBody is the length up to which a body may be a check-in request's although
// the URL does not say so. Larger ones wait where events do.
const smallBody = 16 << 10

// acquireBody reserves memory for a body of the announced length, which is
// negative when it is not known, and waits for it until the deadline. kind is what
// the URL says, or empty.
func (l *limiter) acquireBody(ctx context.Context, integration string, kind visit.Kind, deadline time.Time, length int64) (*bodyReservation, error) {
	if length < 0 || length > l.limits.Body {
		length = l.limits.Body
	}
	r := &bodyReservation{}
	if kind.IsEvent() || kind == "" && length > smallBody {
		if err := r.acquire(ctx, l.eventBodies, integration, deadline, length); err != nil {
			return nil, err
		}
		r.ofEvent = true
	}
	// Who holds memory for bodies never waits for that of events.
	if err := r.acquire(ctx, l.bodies, integration, deadline, length); err != nil {
		r.Release()
		return nil, err
	}
	return r, nil
}

// bodyReservation is memory reserved for one body.
type bodyReservation struct {
	parts   []share.Reservation
	ofEvent bool // the part that events may have is among them
}

func (r *bodyReservation) acquire(ctx context.Context, l *share.Limiter, integration string, deadline time.Time, length int64) error {
	part, ok := l.TryAcquire(integration, BodyCost(length))
	if !ok {
		ctx, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		var err error
		if part, err = l.Acquire(ctx, integration, BodyCost(length)); err != nil {
			return noMemory(l, length)
		}
	}
	r.parts = append(r.parts, part)
	return nil
}

func noMemory(l *share.Limiter, length int64) error {
	return fmt.Errorf("%w: no memory for a body of up to %d bytes; %d of %d bytes are in use, and this integration has its share", errOverloaded, length, l.Taken(), l.Capacity())
}

// shrink gives back what a body of that length does not need.
func (r *bodyReservation) shrink(length int) {
	for i := range r.parts {
		r.parts[i] = r.parts[i].Shrink(BodyCost(int64(length)))
	}
}

// Release gives everything back.
func (r *bodyReservation) Release() {
	for _, part := range r.parts {
		part.Release()
	}
	r.parts = nil
}

// acquireCheckInRequest takes a place for a check-in request if there is one right now:
// waiting would only make a late response later.
func (l *limiter) acquireCheckInRequest(integration string) (share.Reservation, error) {
	r, ok := l.checkIns.TryAcquire(integration, 1)
	if !ok {
		return r, fmt.Errorf("%w: %d of %d check-in requests in flight, and this integration has its share", errOverloaded, l.checkIns.Taken(), l.checkIns.Capacity())
	}
	return r, nil
}

// acquireEvent waits until an event with a body of that length, for which memory
// is reserved, may be stored. What waits is bounded by number and by bytes: it
// would fill the memory, and check-in requests would wait for it.
func (l *limiter) acquireEvent(ctx context.Context, integration string, memory *bodyReservation, length int) (share.Reservation, error) {
	if !memory.ofEvent {
		part, err := l.acquireEventMemory(ctx, integration, int64(length))
		if err != nil {
			return share.Reservation{}, err
		}
		memory.parts, memory.ofEvent = append(memory.parts, part), true
	}
	l.advance()
	return l.acquireEventPlace(ctx, integration)
}

// noProgress is after what time without an event that was stored or begun to be,
// none is believed to be stored soon.
const noProgress = time.Second

func (l *limiter) advance() {
	now := time.Now()
	l.progress.Store(&now)
}

// acquireEventMemory waits as long as others are being stored, so that of a crowd none
// is refused. Where nothing is stored it does not wait: what waits here has been
// read, and takes up the memory of check-in requests.
func (l *limiter) acquireEventMemory(ctx context.Context, integration string, length int64) (share.Reservation, error) {
	part, ok := l.eventBodies.TryAcquire(integration, BodyCost(length))
	for !ok {
		last := l.progress.Load()
		if ctx.Err() != nil || last == nil || time.Since(*last) >= noProgress {
			return part, noMemory(l.eventBodies, length)
		}
		waiting, cancel := context.WithDeadline(ctx, last.Add(noProgress))
		var err error
		part, err = l.eventBodies.Acquire(waiting, integration, BodyCost(length))
		ok = err == nil
		cancel()
	}
	return part, nil
}

func (l *limiter) acquireEventPlace(ctx context.Context, integration string) (share.Reservation, error) {
	if place, ok := l.events.TryAcquire(integration, 1); ok {
		return place, nil
	}
	waits, ok := l.waiting.TryAcquire(integration, 1)
	if !ok {
		return waits, fmt.Errorf("%w: %d of %d events waiting, and this integration has its share", errOverloaded, l.waiting.Taken(), l.waiting.Capacity())
	}
	defer waits.Release()
	place, err := l.events.Acquire(ctx, integration, 1)
	if err != nil {
		return place, fmt.Errorf("%w: %d of %d events in flight", errOverloaded, l.events.Taken(), l.events.Capacity())
	}
	return place, nil
}

const (
	// bodyCopies is how many times its length a body takes up at most while
	// its event is stored: as it came; as the source of the message; in the
	// message's typed fields, where escaping may double what it escapes; and the
	// message once more where it is encoded for the spool. TestBodyCost
	// measures all but the last, which is as long as the message.
	bodyCopies = 6
	// exchangeCost is what an exchange takes up beside its body: its goroutines' stacks,
	// the buffers of its connection, headers, and what is noted of it. Measured
	// likewise, with bodies of 200 bytes.
	exchangeCost = 24 << 10
)

// BodyCost is the memory in bytes that an exchange with a body of that length takes up
// at most, and by which the body counts towards [Limits.BodyMemory].
func BodyCost(length int64) int64 { return bodyCopies*length + exchangeCost }
