package relay

import (
	"cmp"
	"time"
)

// Limits bound what callers can make the relay hold. A zero field stands for
// its default.
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
	// there to the answer.
	StoreBudget time.Duration
	// Requests is how many check-in requests may be in flight.
	Requests int64
	// Events is how many events are being stored at once; up to WaitingEvents
	// more wait for their turn.
	Events, WaitingEvents int64
	// BodyMemory is how much memory calls with their bodies take up at once,
	// each as [BodyCost] says. A quarter of it is not for events that are being
	// stored or wait, and is left to the door.
	BodyMemory int64
}

// DefaultLimits are what a site with a busy lobby never notices.
var DefaultLimits = Limits{
	Body:          256 << 10,
	Header:        16 << 10,
	JSONDepth:     32,
	ReadTimeout:   5 * time.Second,
	WriteTimeout:  10 * time.Second,
	IdleTimeout:   2 * time.Minute,
	Connections:   1000,
	StoreBudget:   2 * time.Second,
	Requests:      512,
	Events:        256,
	WaitingEvents: 10_000,
	BodyMemory:    64 << 20,
}

func (l Limits) complete() Limits {
	d := DefaultLimits
	return Limits{
		Body:          cmp.Or(l.Body, d.Body),
		Header:        cmp.Or(l.Header, d.Header),
		JSONDepth:     cmp.Or(l.JSONDepth, d.JSONDepth),
		ReadTimeout:   cmp.Or(l.ReadTimeout, d.ReadTimeout),
		WriteTimeout:  cmp.Or(l.WriteTimeout, d.WriteTimeout),
		IdleTimeout:   cmp.Or(l.IdleTimeout, d.IdleTimeout),
		Connections:   cmp.Or(l.Connections, d.Connections),
		StoreBudget:   cmp.Or(l.StoreBudget, d.StoreBudget),
		Requests:      cmp.Or(l.Requests, d.Requests),
		Events:        cmp.Or(l.Events, d.Events),
		WaitingEvents: cmp.Or(l.WaitingEvents, d.WaitingEvents),
		BodyMemory:    cmp.Or(l.BodyMemory, d.BodyMemory),
	}
}
