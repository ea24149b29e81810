package relay

import "time"

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
	// StoreBudget is how long storing a fact may take, from its body being
	// there to the answer.
	StoreBudget time.Duration
	// Requests is how many check-in requests may be in flight.
	Requests int64
	// Facts is how many facts are being stored at once; up to WaitingFacts
	// more wait for their turn.
	Facts, WaitingFacts int64
	// BodyMemory is how many bytes of bodies are held at once.
	BodyMemory int64
}

// DefaultLimits are what a site with a busy lobby never notices.
var DefaultLimits = Limits{
	Body:         256 << 10,
	Header:       16 << 10,
	JSONDepth:    32,
	ReadTimeout:  5 * time.Second,
	WriteTimeout: 10 * time.Second,
	IdleTimeout:  2 * time.Minute,
	StoreBudget:  2 * time.Second,
	Requests:     512,
	Facts:        256,
	WaitingFacts: 10_000,
	BodyMemory:   64 << 20,
}

// orDefault returns the value, or the default where it is zero.
func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

func (l Limits) complete() Limits {
	d := DefaultLimits
	return Limits{
		Body:         orDefault(l.Body, d.Body),
		Header:       orDefault(l.Header, d.Header),
		JSONDepth:    orDefault(l.JSONDepth, d.JSONDepth),
		ReadTimeout:  orDefault(l.ReadTimeout, d.ReadTimeout),
		WriteTimeout: orDefault(l.WriteTimeout, d.WriteTimeout),
		IdleTimeout:  orDefault(l.IdleTimeout, d.IdleTimeout),
		StoreBudget:  orDefault(l.StoreBudget, d.StoreBudget),
		Requests:     orDefault(l.Requests, d.Requests),
		Facts:        orDefault(l.Facts, d.Facts),
		WaitingFacts: orDefault(l.WaitingFacts, d.WaitingFacts),
		BodyMemory:   orDefault(l.BodyMemory, d.BodyMemory),
	}
}
