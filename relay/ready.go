package relay

import (
	"fmt"
	"sync/atomic"
	"time"
)

// startPatience is how long a relay that cannot reach NATS stays unready. After
// that it serves fallbacks: an answer from the integration is better than the
// ingress' 503.
const startPatience = 15 * time.Second

// Health is what the broker says about itself.
type Health struct {
	// Connected is set while everything can be asked and published.
	Connected bool
	// Verified is set once the streams have been found fit.
	Verified bool
	// OrdersPending is set until the standing orders were known once.
	OrdersPending bool
	// Fault is what only a person can mend: a refused credential, an unusable
	// stream.
	Fault error
	// Impaired is what a person must mend while everything else works, or nil.
	// It keeps nobody out.
	Impaired error
	// Details are lines for somebody who looks closer.
	Details []string
}

// Readiness says whether calls should be sent here. It is unready only while
// starting or draining: if losing NATS made it unready, every replica would
// leave the Service at once and visitors would get the ingress' 503 in place of
// the integration's fallback.
type Readiness struct {
	health   func() Health
	started  time.Time
	ready    atomic.Bool
	draining atomic.Bool
}

// NewReadiness starts in the state "starting".
func NewReadiness(health func() Health) *Readiness {
	return &Readiness{health: health, started: time.Now()}
}

// Drain makes it unready for good.
func (r *Readiness) Drain() { r.draining.Store(true) }

// State is one of a closed set of words, with the reason of anything but ready.
type State struct {
	Ready  bool
	Word   string // ready, degraded, starting, draining
	Reason string
}

// State says where the relay stands.
func (r *Readiness) State() (State, Health) { return r.stateAt(time.Now()) }

func (r *Readiness) stateAt(now time.Time) (State, Health) {
	h := r.health()
	switch {
	case r.draining.Load():
		return State{Word: "draining", Reason: "shutting down"}, h
	case !r.ready.Load() && !r.mayStart(h, now):
		reason := "waiting for NATS and its streams"
		switch {
		case h.Fault != nil:
			reason = h.Fault.Error()
		case h.Verified && h.Impaired != nil:
			reason = "waiting for the standing orders: " + h.Impaired.Error()
		case h.Verified:
			reason = "waiting for the standing orders"
		}
		return State{Word: "starting", Reason: reason}, h
	}
	r.ready.Store(true)
	switch {
	case h.Fault != nil:
		return State{Ready: true, Word: "degraded", Reason: h.Fault.Error()}, h
	case !h.Connected:
		return State{Ready: true, Word: "degraded", Reason: "not connected to NATS"}, h
	case !h.Verified:
		return State{Ready: true, Word: "degraded", Reason: "the streams have not been verified yet"}, h
	case h.Impaired != nil:
		return State{Ready: true, Word: "degraded", Reason: h.Impaired.Error()}, h
	default:
		return State{Ready: true, Word: "ready"}, h
	}
}

// mayStart: a fault that only a person can mend keeps a new relay out, which
// stalls a bad roll-out; a NATS that is merely away does not for long. Neither do
// standing orders that cannot be known: then only deciders let anybody in, and
// events are stored all the same.
func (r *Readiness) mayStart(h Health, now time.Time) bool {
	if h.Fault != nil {
		return false
	}
	waited := now.Sub(r.started) >= startPatience
	return (h.Verified || !h.Connected && waited) && (!h.OrdersPending || waited)
}

// String is the state in one line.
func (s State) String() string {
	if s.Reason == "" {
		return s.Word
	}
	return fmt.Sprintf("%s: %s", s.Word, s.Reason)
}
