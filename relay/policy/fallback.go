package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sine-relay/sine-relay/visit"
)

// Situation says whether there is a decider's decision about a visitor, and if
// not, why not. Its values are those of package visit.
type Situation string

const (
	Decided      Situation = visit.SituationDecided
	NoDecider    Situation = visit.SituationNoDecider
	Timeout      Situation = visit.SituationTimeout
	Disconnected Situation = visit.SituationDisconnected
	Denied       Situation = visit.SituationDenied
	BadReply     Situation = visit.SituationBadReply
	// Overloaded means that more check-in requests are in flight than the relay
	// is configured for.
	Overloaded Situation = visit.SituationOverloaded
	// Unreadable means that the webhook could not be understood, and may have
	// been a check-in request.
	Unreadable Situation = visit.SituationUnreadable
	// Incomplete means that the check-in request lacks something that is expected, of
	// the integration or of one decider: at least a name, so that no decider is asked
	// about nobody.
	Incomplete Situation = visit.SituationIncomplete
	// Unasked means that the conditions of all deciders were false for this
	// visitor.
	Unasked Situation = visit.SituationUnasked

	// OrdersUnknown means that deciders accepted while it was not known whether
	// a lockdown is in force, where that is not enough. It has no fallback.
	OrdersUnknown Situation = visit.SituationOrdersUnknown

	// LockedDown and Overridden are those in which an [visit.Order] decides. They
	// have no fallback.
	LockedDown = Situation(visit.SituationLockedDown)
	Overridden = Situation(visit.SituationOverridden)

	// Unheard is the situation of a decider for whose vote the decision did not
	// wait. It is never that of a decision.
	Unheard Situation = visit.SituationUnheard
)

// Unanswered lists the situations in which a decider that has a say about a visitor has
// made no decision: those for which it may have a fallback of its own.
var Unanswered = []Situation{NoDecider, Timeout, Disconnected, Denied, BadReply, Incomplete}

// Missed lists every situation without a decision: those that have a fallback.
var Missed = []Situation{NoDecider, Timeout, Disconnected, Denied, BadReply, Overloaded, Unreadable, Incomplete, Unasked}

// SituationOf returns the situation that asking a decider ended in. An error that
// it does not know counts as a timeout: the visitor has no decision.
func SituationOf(err error) Situation {
	switch {
	case err == nil:
		return Decided
	case errors.Is(err, visit.ErrNoDecider):
		return NoDecider
	case errors.Is(err, visit.ErrDisconnected):
		return Disconnected
	case errors.Is(err, visit.ErrDenied), errors.Is(err, visit.ErrTooLarge):
		return Denied // either way the broker would not carry the message
	case errors.Is(err, visit.ErrBadReply):
		return BadReply
	default:
		return Timeout
	}
}

// Fallback decides when there is no decision of a decider.
type Fallback struct {
	// Verdict is a rejection where it is empty, except for [Unasked]: where no
	// decider's condition holds, no decider objects.
	Verdict visit.Verdict
	// VisitorText and AdminNote may contain "{ref}", which stands for the
	// reference of the request. A blank one counts as missing.
	VisitorText string
	AdminNote   string
}

// DefaultRejectText is what a visitor reads when neither the decider nor the
// integration has a text.
const DefaultRejectText = "Please see reception. Reference {ref}."

// Default adminNote texts per situation: what somebody at reception can act on.
var defaultNotes = map[Situation]string{
	NoDecider:    "Sine Relay: no decider answers for this integration. Reference {ref}.",
	Timeout:      "Sine Relay: the decision did not arrive in time. Reference {ref}.",
	Disconnected: "Sine Relay: no connection to the message broker. Reference {ref}.",
	Denied:       "Sine Relay: the message broker denied the check-in request. Reference {ref}.",
	BadReply:     "Sine Relay: the decider's reply was invalid. Reference {ref}.",
	Overloaded:   "Sine Relay: overloaded, too many check-in requests at once. Reference {ref}.",
	Unreadable:   "Sine Relay: the webhook from Sine could not be read. Reference {ref}.",
	Incomplete:   "Sine Relay: the webhook from Sine lacks a field that is expected of it. Reference {ref}.",
	Unasked:      "Sine Relay: no decider's condition applies to this visitor. Reference {ref}.",
}

// complete fills in what is missing of the fallback for a situation.
func (f Fallback) complete(s Situation, rejectText string) Fallback {
	f.VisitorText, f.AdminNote = unlessBlank(f.VisitorText), unlessBlank(f.AdminNote)
	if f.Verdict == "" && s == Unasked {
		f.Verdict = visit.Accept
	}
	f.Verdict = cmp.Or(f.Verdict, visit.Reject)
	if f.Verdict == visit.Reject {
		f.VisitorText = cmp.Or(f.VisitorText, rejectText)
	}
	if s != Unasked || f.Verdict == visit.Reject {
		f.AdminNote = cmp.Or(f.AdminNote, defaultNotes[s])
	}
	return f
}

// mergeOver lays a fallback over another. One that names its verdict stands alone,
// since the texts for another verdict would not fit; one that only rewords keeps
// the verdict.
func (f Fallback) mergeOver(under Fallback) Fallback {
	if f.Verdict != "" {
		return f
	}
	return Fallback{
		Verdict:     under.Verdict,
		VisitorText: cmp.Or(unlessBlank(f.VisitorText), under.VisitorText),
		AdminNote:   cmp.Or(unlessBlank(f.AdminNote), under.AdminNote),
	}
}

func (f Fallback) decision() visit.Decision {
	return visit.Decision{Verdict: f.Verdict, VisitorText: f.VisitorText, AdminNote: f.AdminNote}
}

// checkFallbacks finds fallbacks that would never be used, or neither accept nor
// reject.
func checkFallbacks(configured map[Situation]Fallback, known []Situation) error {
	var errs []error
	for _, s := range slices.Sorted(maps.Keys(configured)) {
		if !slices.Contains(known, s) {
			errs = append(errs, fmt.Errorf("fallback %q must be for one of the situations %v", s, known))
		}
		switch v := configured[s].Verdict; v {
		case "", visit.Accept, visit.Reject:
		default:
			errs = append(errs, fmt.Errorf("fallback %q: the verdict must be %s or %s, not %q", s, visit.Accept, visit.Reject, v))
		}
	}
	return errors.Join(errs...)
}

// unlessBlank is a text that shows something, or empty.
func unlessBlank(text string) string {
	if visit.IsBlank(text) {
		return ""
	}
	return text
}
