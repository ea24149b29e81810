// Package door decides what a waiting visitor is told. It is pure policy: it
// knows neither HTTP nor NATS, holds no state and never waits.
//
// It promises an answer to everything: a decision that was had, and every way
// in which one was missed.
package door

import (
	"errors"

	"github.com/sine-relay/sine-relay/visit"
)

// Situation is one way of standing at the door: with a decision, or without
// one for a named reason.
type Situation string

const (
	Decided      Situation = "decided"
	NoDecider    Situation = "no_decider"
	Timeout      Situation = "timeout"
	Disconnected Situation = "disconnected"
	Denied       Situation = "denied"
	BadReply     Situation = "bad_reply"
	// Overloaded means that more visitors wait than the relay is set up for.
	Overloaded Situation = "overloaded"
	// Unreadable means that the call could not be understood, and may have
	// been a visitor's.
	Unreadable Situation = "unreadable"
)

// Missed lists every situation without a decision: those that have a fallback.
var Missed = []Situation{NoDecider, Timeout, Disconnected, Denied, BadReply, Overloaded, Unreadable}

// Of names the situation that an attempt to ask ended in. An error that it does
// not know counts as a timeout: the visitor has no answer.
func Of(err error) Situation {
	switch {
	case err == nil:
		return Decided
	case errors.Is(err, visit.ErrNoDecider):
		return NoDecider
	case errors.Is(err, visit.ErrDisconnected):
		return Disconnected
	case errors.Is(err, visit.ErrDenied), errors.Is(err, visit.ErrTooLarge):
		return Denied // either way the broker would not carry the question
	case errors.Is(err, visit.ErrBadReply):
		return BadReply
	default:
		return Timeout
	}
}

// Fallback is the answer to give when there is no decision.
type Fallback struct {
	Verdict visit.Verdict
	// VisitorText and AdminNote may hold "{ref}", which stands for the
	// reference of the call.
	VisitorText string
	AdminNote   string
}

// Policy is how one integration's door behaves.
type Policy struct {
	// Fallbacks has an entry for every situation in [Missed];
	// [Policy.Complete] fills the gaps.
	Fallbacks map[Situation]Fallback
	// RejectText stands in for the text of a decider that rejects without
	// one: Sine must always have something to show.
	RejectText string
}

// DefaultRejectText is what a visitor reads when neither the decider nor the
// integration has a text.
const DefaultRejectText = "Please see reception. Reference {ref}."

// Default adminNote texts per situation: what somebody at reception can act on.
var defaultNotes = map[Situation]string{
	NoDecider:    "Sine Relay: nobody answers for this integration. Reference {ref}.",
	Timeout:      "Sine Relay: the decision did not arrive in time. Reference {ref}.",
	Disconnected: "Sine Relay: no connection to the message broker. Reference {ref}.",
	Denied:       "Sine Relay: the message broker denied the question. Reference {ref}.",
	BadReply:     "Sine Relay: the decider sent no usable answer. Reference {ref}.",
	Overloaded:   "Sine Relay: too many visitors at once. Reference {ref}.",
	Unreadable:   "Sine Relay: the call from Sine could not be read. Reference {ref}.",
}

// Complete returns the policy with a rejection in place of every fallback that
// is missing, and default texts where there are none.
func (p Policy) Complete() Policy {
	if p.RejectText == "" {
		p.RejectText = DefaultRejectText
	}
	all := make(map[Situation]Fallback, len(Missed))
	for _, s := range Missed {
		f := p.Fallbacks[s]
		if f.Verdict == "" {
			f.Verdict = visit.Reject
		}
		if f.VisitorText == "" && f.Verdict == visit.Reject {
			f.VisitorText = p.RejectText
		}
		if f.AdminNote == "" {
			f.AdminNote = defaultNotes[s]
		}
		all[s] = f
	}
	p.Fallbacks = all
	return p
}

// Answer is what the visitor and the administrator are told.
type Answer struct {
	Situation Situation
	visit.Decision
}

// Decide answers for what an attempt to ask brought: a decision when err is
// nil, else the fallback of the situation.
func (p Policy) Decide(d visit.Decision, err error) Answer {
	s := Of(err)
	if s != Decided {
		return p.Fall(s)
	}
	if d.Verdict == visit.Reject && d.VisitorText == "" {
		d.VisitorText = p.RejectText
	}
	return Answer{Situation: Decided, Decision: d}
}

// Fall answers for a situation without a decision. The policy must be complete.
func (p Policy) Fall(s Situation) Answer {
	f := p.Fallbacks[s]
	return Answer{Situation: s, Decision: visit.Decision{
		Verdict: f.Verdict, VisitorText: f.VisitorText, AdminNote: f.AdminNote,
	}}
}
