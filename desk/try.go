package desk

import (
	"context"
	"time"
)

// Trier checks made-up visitors in and out, at integrations that are marked for tests. It
// is safe for concurrent use.
type Trier interface {
	// Targets are the integrations that may be tried, in the order of their names.
	Targets() []TryTarget
	// Try sends what Sine would send, and returns what went over the wire and what the
	// iPad would show. The error is one of reaching the relay.
	Try(ctx context.Context, integration string, call TryCall) (Tried, error)
	// Troubles are what can be made to go wrong, as in `sine-relay dev`; none elsewhere.
	Troubles() []Trouble
	// SetTrouble begins or ends one, by its name.
	SetTrouble(ctx context.Context, name string, on bool) error
}

// TryTarget is an integration that may be tried.
type TryTarget struct{ Integration, Site string }

// TryStep is which of Sine's three calls is made.
type TryStep string

const (
	TryRequest  TryStep = "check-in-request"
	TryCheckIn  TryStep = "check-in-success"
	TryCheckOut TryStep = "check-out-success"
)

// TryCall is a made-up visitor and the call that Sine would make for it.
type TryCall struct {
	Step TryStep
	// Visit is the visit's id, the same in all calls for one visitor.
	Visit                            string
	FirstName, LastName, Company     string
	VisitorType, HostFirst, HostLast string
	// Answers are labels and values, in order.
	Answers [][2]string
}

// Tried is what became of a call.
type Tried struct {
	// Accepted is set when the visitor may come in, or the event was stored.
	Accepted bool
	// Text is what the visitor reads, and Notes what the pass shows beside it.
	Text  string
	Notes []string
	// Reference is what the visitor can read out, and RequestID the whole of it.
	Reference, RequestID string
	// Curl is the call as a command for a shell, with the variable KEY for the API key.
	Curl string
	// Messages are what went over the wire, in order.
	Messages []TryMessage
}

// TryMessage is one of them: Sine's call, a question to a decider, its decision, an
// event, the response.
type TryMessage struct {
	// From and To are "sine", "relay", "nats" or the name of a decider.
	From, To string
	// What says what it is, for example "POST /sine/default" or a subject.
	What string
	// After is the time since the call began.
	After time.Duration
	// Header are its headers, without secrets, and Body is its body.
	Header [][2]string
	Body   []byte
}

// Trouble is what can be made to go wrong.
type Trouble struct {
	// Name identifies it; Text says what happens while it is on.
	Name, Text string
	On         bool
}
