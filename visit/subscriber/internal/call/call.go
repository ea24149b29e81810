// Package call is what stands between a message and a program's function: how a message
// becomes the function's argument, and a decision a reply. Package subscriber and its
// test kit share it, so that a test sees what a program in service does.
package call

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sine-relay/sine-relay/visit"
)

// The errors of package subscriber that its test kit reports, too. That package
// documents them.
var (
	ErrOverloaded            = errors.New("overloaded: too many check-in requests in flight")
	ErrInvalidCheckInRequest = errors.New("invalid check-in request")
	ErrInvalidEvent          = errors.New("invalid event")
)

// Decide decides requests.
type Decide = func(ctx context.Context, r visit.CheckInRequest) (visit.Decision, error)

// Program is how a decider calls itself in decisions that do not say it.
type Program struct{ Decider, Version string }

// Reply calls decide for a message and returns its reply, encoded. It returns
// [ErrInvalidCheckInRequest], the error of decide, or what is wrong with its decision.
func (p Program) Reply(ctx context.Context, message []byte, decide Decide) ([]byte, error) {
	var r visit.CheckInRequest
	if err := json.Unmarshal(message, &r); err != nil {
		return nil, ErrInvalidCheckInRequest // the decoder's error may quote personal data
	}
	d, err := decide(ctx, r)
	if err != nil {
		return nil, err
	}
	d.Decider = cmp.Or(d.Decider, p.Decider)
	d.Version = cmp.Or(d.Version, p.Version)
	return encode(d)
}

// encode returns the reply as the relay will read it. An acceptance that the relay
// would find invalid is an error. A rejection never is: its invalid parts are left out.
func encode(d visit.Decision) ([]byte, error) {
	if d.Verdict == visit.Reject {
		d.Pass = nil // which is for visitors who are accepted
	}
	reply, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode the decision: %w", err)
	}
	read, err := visit.ParseDecision(reply)
	if err != nil || read.Verdict == visit.Accept {
		return reply, err
	}
	return json.Marshal(read) // without texts that are too long for a message
}

// Event reads an event, or returns [ErrInvalidEvent]. Its kind may be unknown: within v1
// kinds may be added.
func Event(message []byte) (visit.Event, error) {
	var e visit.Event
	if err := json.Unmarshal(message, &e); err != nil {
		return visit.Event{}, ErrInvalidEvent // the decoder's error may quote personal data
	}
	if e.ID == "" || e.Kind == "" {
		return visit.Event{}, notAnEvent(message)
	}
	return e, nil
}

// notAnEvent says what a JSON object is that is not an event, as far as that is known: the
// SDKs of CloudEvents publish in either mode.
func notAnEvent(message []byte) error {
	var envelope struct{ SpecVersion string }
	if json.Unmarshal(message, &envelope) == nil && envelope.SpecVersion != "" {
		return fmt.Errorf("%w: a CloudEvent in structured mode, where binary mode is the contract", ErrInvalidEvent)
	}
	return ErrInvalidEvent
}
