// Package desk is the web page for people: reception, who is on call, and a newcomer.
//
// It shows what the relays did and what NATS stores of it, and gives standing orders for
// those who may. It says what it does not know: a page never shows a state that it could
// not read as if it were good. Names of visitors are shown one by one, to those who may
// see them, and each time leaves a record; nothing personal gets into a log, a metric, an
// address or a title.
//
// It knows HTTP and the words of package visit, and nothing of NATS or of Sine.
package desk

import (
	"context"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Broker is what the desk needs of NATS. It is safe for concurrent use. Its methods
// return when ctx ends at the latest; their errors wrap visit.ErrDisconnected where NATS
// cannot be reached, and visit.ErrDenied where it refuses, and say then what to permit.
type Broker interface {
	// Connected returns nil while NATS can be reached, else why it cannot.
	Connected() error

	// Relays and Deciders are those that answer now, in the order of their ids. An
	// incomplete search returns what was found and an error.
	Relays(ctx context.Context) ([]visit.Relay, error)
	Deciders(ctx context.Context) ([]visit.Decider, error)

	// Orders returns the standing orders that are stored, those that have ended
	// included. Beside an error that wraps visit.ErrInvalidOrder they are complete:
	// single entries are invalid then, and have no effect.
	Orders(ctx context.Context) ([]visit.Order, error)
	// GiveOrder stores an order and returns it as it is stored: with its id, since
	// when, and for whom NATS takes the desk.
	GiveOrder(ctx context.Context, o visit.Order) (visit.Order, error)
	// LiftOrder ends the one that the lift names and no other, also where the bucket has
	// lost it and relays obey it still: then lost has its id. It returns the revision
	// that relays have read when they obey it. The error wraps visit.ErrNotFound where
	// the order is not in force, or another one has replaced it.
	LiftOrder(ctx context.Context, l visit.Lift, lost ...string) (revision uint64, err error)
	// MaxOverride is the longest that an override may last.
	MaxOverride() time.Duration

	// Records calls fn for each record of a check-in request that was received from
	// from on and before to, oldest first, until fn returns an error, which it
	// returns. Site and result, visit.ResultAccepted or visit.ResultRejected, are one
	// or all where empty; only what is meant is read. A zero to is now.
	Records(ctx context.Context, site, result string, from, to time.Time, fn func(visit.Record) error) error
	// Events is the same for events, which come without form answers and without
	// source.
	Events(ctx context.Context, site string, from, to time.Time, fn func(visit.Event) error) error
	// Decisions calls fn for each record that is stored and was received from from on and
	// before to, the one that was stored last first, with its sequence number and what
	// counts of it: its site, when it was received, verdict, situation, whether it is
	// synthetic or by a fallback, and whether there was an order. Its visit is one that is
	// equal for the same visit. A zero to is now. Fn must not keep r. Where not all of them
	// are counted, since is when the first that counts was received, and reading is set
	// where more will count soon.
	Decisions(ctx context.Context, from, to time.Time, fn func(sequence uint64, r *visit.Record)) (since time.Time, reading bool, err error)
	// CheckIns is the same for check-ins of which Sine sent an id of the visit. Site,
	// Kind, Received, Synthetic and Visit are set. Corrections are left out.
	CheckIns(ctx context.Context, from, to time.Time, fn func(e *visit.Event)) (since time.Time, reading bool, err error)
	// RecordsAt calls fn for each of some records that is still stored.
	RecordsAt(ctx context.Context, sequences []uint64, fn func(sequence uint64, r visit.Record)) error
	// Event returns one event with all that is stored of it. Received is when the
	// relay received it. The error wraps visit.ErrNotFound where it is not there.
	Event(ctx context.Context, site, id string, received time.Time) (visit.Event, error)
	// Follow calls record and event for what is stored from now on, each once, as long
	// as ctx lasts, and then returns nil. It calls state with nil when it has begun to
	// read, with what keeps it from reading, and with nil when it reads again. None of
	// the three is called concurrently with another.
	Follow(ctx context.Context, record func(visit.Record), event func(visit.Event), state func(error)) error

	// Quarantined calls fn for each message of the quarantine, oldest first. Sequence
	// identifies it for sine-relay quarantine.
	Quarantined(ctx context.Context, fn func(sequence uint64, stored time.Time, q visit.Quarantined) error) error

	// Audit stores what somebody did at the desk: nil only when it is stored.
	Audit(ctx context.Context, a visit.Audit) error
	// Audits calls fn for each that was made in [from, to), oldest first; a zero to is
	// now.
	Audits(ctx context.Context, from, to time.Time, fn func(visit.Audit) error) error
}

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
	// Name identifies it. Begin is what the button that begins it says, and Text what
	// happens while it is on.
	Name, Begin, Text string
	On                bool
}
