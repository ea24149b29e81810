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
}

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

// ofWholeName is in [Body.places] for a last name that was made of a whole name.
const ofWholeName = 255

// wholeNames are what a last name may be made of.
var wholeNames = [fieldCount]int{lastName: personName, hostLastName: hostName}
