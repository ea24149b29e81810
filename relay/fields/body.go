package fields

import (
	"github.com/sine-relay/sine-relay/visit"
)

// Body is what was found in a body.
type Body struct {
	// Source is the whole body.
	Source []byte
	// IsEvent is set when the body looks like what Sine sends at all: it names an
	// event, or has a pass.
	IsEvent bool
	// Event and Date are as they are written; Date is read by [Fields.ReadDate].
	Event, Date string
	Pass        visit.Pass
	// UnreadAnswers is set when there are answers that Pass does not hold.
	UnreadAnswers bool
	// VisitID is Sine's id of the visit or the pass, or empty.
	VisitID    string
	ExternalID string
	// Cause is why the pass ended, as far as the body says.
	Cause visit.Cause
	// Unknown is a sum over the keys beside those that lead to a field: equal keys,
	// equal sums, within one process. [Fields.Explain] names them instead.
	Unknown uint64

	// places has the number of the place at which each field was found, from 1;
	// those up to the number in configured are configured.
	places     [fieldCount]uint8
	configured *[fieldCount]uint8
	dates      *dates
	dateKnown  dateKnown
}

// dateKnown says whether a date can be read, once that was looked at.
type dateKnown uint8

const (
	unknown dateKnown = iota
	readable
	unread
)

// Origin says at what kind of place a field was found.
type Origin int

const (
	// Missing means that it was not found.
	Missing Origin = iota
	// BuiltIn is a place that is tried without configuration.
	BuiltIn
	// Configured is one that the configuration names.
	Configured
)

// Origin says where a field was found. The whole name counts as the last name.
func (b *Body) Origin(f Field) Origin {
	field := numberOf(f)
	if field < 0 {
		return Missing
	}
	return b.origin(field)
}

func (b *Body) origin(field int) Origin {
	switch place := b.places[field]; {
	case place == 0:
		return Missing
	case place == ofWholeName:
		return b.origin(wholeNames[field])
	case place <= b.configured[field]:
		return Configured
	default:
		return BuiltIn
	}
}

// isSure reports whether a field was found where the configuration says that it is, or
// where it says nothing. A field of that name elsewhere is a guess.
func (b *Body) isSure(field int) bool {
	unconfigured := b.configured[field] == 0
	if b.places[field] == ofWholeName {
		unconfigured = unconfigured && b.configured[wholeNames[field]] == 0
	}
	origin := b.origin(field)
	return origin == Configured || origin == BuiltIn && unconfigured
}

// SurePass is the pass without what is a guess: a field that the configuration looks for
// elsewhere, and a last name that is a whole one. What is concluded from it for a visitor
// is not concluded from something else that happens to have the name.
func (b *Body) SurePass() visit.Pass {
	p := b.Pass
	texts := [fieldCount]*string{
		firstName: &p.Person.FirstName, lastName: &p.Person.LastName, email: &p.Person.Email, mobile: &p.Person.Mobile,
		company: &p.Company, visitorType: &p.VisitorType,
	}
	if p.Host != nil {
		host := *p.Host
		p.Host = &host
		texts[hostFirstName], texts[hostLastName], texts[hostGroup] = &host.FirstName, &host.LastName, &host.Group
	}
	for field, text := range texts {
		if text != nil && !b.isSure(field) {
			*text = ""
		}
	}
	if b.places[lastName] == ofWholeName {
		p.Person.LastName = ""
	}
	if !b.isSure(answers) {
		p.FormAnswers = nil
	}
	return p
}

// ofWholeName is in [Body.places] for a last name that was made of a whole name.
const ofWholeName = 255

// wholeNames are what a last name may be made of.
var wholeNames = [fieldCount]int{lastName: personName, hostLastName: hostName}
