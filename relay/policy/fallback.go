package policy

import (
	"cmp"

	"github.com/sine-relay/sine-relay/visit"
)

// Fallback is the answer to give when there is no decision.
type Fallback struct {
	// Verdict is a rejection where it is empty, except for [Unasked]: where
	// nobody has a say about a visitor, nobody objects.
	Verdict visit.Verdict
	// VisitorText and AdminNote may hold "{ref}", which stands for the
	// reference of the call. A blank one is as none.
	VisitorText string
	AdminNote   string
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
	Incomplete:   "Sine Relay: the call from Sine does not say who the visitor is. Reference {ref}.",
	Unasked:      "Sine Relay: no decider has a say about this visitor. Reference {ref}.",
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

// over lays a fallback over another. One that names its verdict stands alone,
// since the texts for another verdict would not fit; one that only rewords keeps
// the verdict.
func (f Fallback) over(under Fallback) Fallback {
	if f.Verdict != "" {
		return f
	}
	return Fallback{
		Verdict:     under.Verdict,
		VisitorText: cmp.Or(unlessBlank(f.VisitorText), under.VisitorText),
		AdminNote:   cmp.Or(unlessBlank(f.AdminNote), under.AdminNote),
	}
}

// unlessBlank is a text that shows something, or empty.
func unlessBlank(text string) string {
	if visit.Blank(text) {
		return ""
	}
	return text
}
