// Package policy decides what a waiting visitor is told. It is pure policy: it
// knows neither HTTP nor NATS, remembers nothing beyond one visitor's votes,
// never waits, and takes the time from its caller.
//
// It promises an answer to everything: a decision that was had, every way in
// which one was missed, several deciders who disagree, and orders that stand
// above them all. Every answer that rejects has a text for the visitor.
package policy

import (
	"errors"

	"github.com/sine-relay/sine-relay/visit"
)

// Situation is one way of standing at the door: with a decision, without one
// for a named reason, or under an order that leaves nothing to decide.
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
	// Incomplete means that the call does not say who the visitor is, so that
	// deciders would be asked about nobody.
	Incomplete Situation = "incomplete"
	// Unasked means that no decider had a say about this visitor: the
	// conditions of all of them were false.
	Unasked Situation = "unasked"

	// OrdersUnknown means that deciders accepted while it was not known whether
	// a lockdown is in force, where that is not enough. It has no fallback.
	OrdersUnknown Situation = "orders_unknown"

	// LockedDown and Overridden are those in which an [visit.Order] decides. They
	// have no fallback.
	LockedDown = Situation(visit.OrderLockdown)
	Overridden = Situation(visit.OrderOverride)

	// Unheard is the situation of a decider for whose vote the answer did not
	// wait. It is never that of an answer.
	Unheard Situation = "unheard"
)

// Unanswered lists the situations in which a decider that was asked has made no
// decision: those for which it may have a fallback of its own.
var Unanswered = []Situation{NoDecider, Timeout, Disconnected, Denied, BadReply}

// Missed lists every situation without a decision: those that have a fallback.
var Missed = []Situation{NoDecider, Timeout, Disconnected, Denied, BadReply, Overloaded, Unreadable, Incomplete, Unasked}

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
