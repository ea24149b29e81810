package relay

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// errBusy is returned when a cap on what is in flight was reached and the
// caller's time did not suffice to wait for a place.
var errBusy = errors.New("too much at once")

// gate bounds what is in flight: bodies in memory, visitors who wait for a
// decision, facts that are being stored. Facts do not use the visitors' places,
// nor visitors the facts', and facts leave memory free for the visitors' bodies.
type gate struct {
	limits     Limits
	memory     *semaphore.Weighted
	factMemory *semaphore.Weighted // the part of memory that facts may have
	requests   *semaphore.Weighted
	facts      *semaphore.Weighted
	waiting    atomic.Int64
}

func newGate(l Limits) *gate {
	return &gate{
		limits:     l,
		memory:     semaphore.NewWeighted(max(l.BodyMemory, l.Body)),
		factMemory: semaphore.NewWeighted(max(l.BodyMemory/4*3, l.Body)),
		requests:   semaphore.NewWeighted(l.Requests),
		facts:      semaphore.NewWeighted(l.Facts),
	}
}

// hold reserves memory for a body of the announced length, which is negative
// when it is not known, and waits for it until the deadline.
func (g *gate) hold(ctx context.Context, deadline time.Time, length int64) (*held, error) {
	if length < 0 || length > g.limits.Body {
		length = g.limits.Body
	}
	if g.memory.TryAcquire(length) {
		return &held{g, length}, nil
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if g.memory.Acquire(ctx, length) != nil {
		return nil, fmt.Errorf("hold a body of up to %d bytes: %w", length, errBusy)
	}
	return &held{g, length}, nil
}

// held is memory reserved for one body.
type held struct {
	gate  *gate
	bytes int64
}

// shrink gives back what the body did not need.
func (h *held) shrink(bytes int64) {
	if surplus := h.bytes - bytes; surplus > 0 {
		h.gate.memory.Release(surplus)
		h.bytes = bytes
	}
}

func (h *held) release() { h.gate.memory.Release(h.bytes) }

// admit lets a visitor in if there is a place right now: waiting would only
// make a late answer later.
func (g *gate) admit() (leave func(), err error) {
	if !g.requests.TryAcquire(1) {
		return nil, fmt.Errorf("%d check-in requests are in flight: %w", g.limits.Requests, errBusy)
	}
	return func() { g.requests.Release(1) }, nil
}

// queue waits until a fact with a body of so many bytes may be stored. What waits
// is bounded by number and by bytes: it would fill the memory, and the door would
// wait for it.
func (g *gate) queue(ctx context.Context, bytes int64) (leave func(), err error) {
	if !g.factMemory.TryAcquire(bytes) {
		return nil, fmt.Errorf("no memory is left to facts for %d bytes: %w", bytes, errBusy)
	}
	leave = func() { g.facts.Release(1); g.factMemory.Release(bytes) }
	if g.facts.TryAcquire(1) {
		return leave, nil
	}
	if err := g.await(ctx); err != nil {
		g.factMemory.Release(bytes)
		return nil, err
	}
	return leave, nil
}

func (g *gate) await(ctx context.Context) error {
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.limits.WaitingFacts {
		return fmt.Errorf("%d facts are waiting: %w", g.limits.WaitingFacts, errBusy)
	}
	if g.facts.Acquire(ctx, 1) != nil {
		return fmt.Errorf("wait to be stored: %w", errBusy)
	}
	return nil
}
