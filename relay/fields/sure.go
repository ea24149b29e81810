package fields

import (
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

// What a reading must remember of each value to know whether another one at the same
// place, or at another, makes it unsure.
type certainty struct {
	other  int                 // keys on the way to what is read that are in another spelling than the place
	others [fieldCount]uint8   // the same of the value that each field has
	of     [fieldCount]element // the innermost element it is from, of "*" or a selector
	// unsure are fields of which the place has several values, and differing those that
	// differ between built-in places. Bits are numbers of fields.
	unsure, differing uint32
}

// part is what was found of a part of a template.
type part struct {
	text   string
	others uint8
	any    uint32 // as in element
	unsure bool
}

// mustAgree are the fields of which two built-in places must not differ: the wrong one may
// let somebody in, join two visits, or call somebody else. documented are those of them that Sine's documents have at the first
// place, which then holds whatever the others say. That is not enough of the company: a
// body that has two is unlike the documents, and one of them may be the customer's own.
const (
	mustAgree = 1<<firstName | 1<<lastName | 1<<personName | 1<<company | 1<<visitorType |
		1<<hostFirstName | 1<<hostLastName | 1<<hostName | 1<<hostGroup |
		1<<visitID | 1<<personID | 1<<externalID | 1<<email | 1<<mobile | 1<<photoURL | 1<<cause
	documented = 1<<firstName | 1<<lastName | 1<<photoURL | 1<<hostFirstName | 1<<hostLastName | 1<<hostGroup
	// decisive are fields by which people are rejected: two spellings of one key that differ
	// make them unsure, also where one is the exact one.
	decisive = 1<<company | 1<<visitorType
	// lastCounts are fields of which the last value counts where a body has one key twice:
	// without them it could not be understood at all.
	lastCounts = 1<<event | 1<<date
)

// isWeak reports whether a built-in place may well hold something else than another one of
// its field: an id that does not say whose it is, or a telephone beside the mobile one.
func (r *reading) isWeak(field int, place uint8) bool {
	switch {
	case field != visitID && field != mobile, !r.isBuiltin(field, place):
		return false
	case field == visitID:
		return place == r.f.bareID
	default:
		return strings.Contains(builtin[mobile][place-r.configured[mobile]-1], "/phone")
	}
}

// contradicts reports whether two values of a field cannot both be right.
func (r *reading) contradicts(field int, a, b string) bool {
	switch {
	case a == b:
		return false
	case field == cause:
		one, other := r.f.causeOf(a), r.f.causeOf(b)
		return one != other && one != visit.CauseUnknown && other != visit.CauseUnknown
	case field == email:
		return !strings.EqualFold(a, b)
	case field == mobile:
		return strings.Map(digit, a) != strings.Map(digit, b)
	default:
		return true
	}
}

func digit(r rune) rune {
	if r < '0' || r > '9' {
		return -1
	}
	return r
}

func (r *reading) isBuiltin(field int, place uint8) bool { return place > r.configured[field] }

func (r *reading) isDocumented(field int, place uint8) bool {
	return documented&(1<<field) != 0 && place == r.configured[field]+1
}

// isSettled reports whether a field has a value beside which one at a place is of no
// interest.
func (r *reading) isSettled(t target) bool {
	switch have := r.places[t.slot]; {
	case have == 0 || have > t.place:
		return false
	case have == t.place:
		return t.first && r.of[t.slot].any != r.innermost().any
	default:
		return mustAgree&(1<<t.slot) == 0 || !r.isBuiltin(t.slot, have)
	}
}

// prefers reports whether a value takes the place of that which a field has, and notes where
// the two make the field unsure.
func (r *reading) prefers(t target, value string) bool {
	bit, have := uint32(1)<<t.slot, r.places[t.slot]
	differs := have > 0 && r.contradicts(t.slot, *r.text(t.slot), value)
	switch {
	case have == 0:
		return true
	case have == t.place && t.first && r.of[t.slot] != r.innermost() && int(r.others[t.slot]) == r.other:
		if differs && decisive&bit != 0 {
			r.unsure |= bit // a selector has chosen two
		}
		return false
	case have == t.place:
		return r.prefersSpelling(t.slot, differs)
	case have < t.place:
		if differs && !r.isDocumented(t.slot, have) && !r.isWeak(t.slot, t.place) && !r.isWeak(t.slot, have) {
			r.differing |= bit
		}
		return false
	}
	if decisive&bit == 0 || !r.isBuiltin(t.slot, t.place) {
		r.unsure &^= bit
	}
	switch {
	case !r.isBuiltin(t.slot, t.place), mustAgree&bit == 0:
	case r.isDocumented(t.slot, t.place):
		r.differing &^= bit
	case differs && !r.isWeak(t.slot, have) && !r.isWeak(t.slot, t.place):
		r.differing |= bit
	}
	return true
}

// prefersSpelling chooses between two values at one place: the exact spelling before others.
// Of one key that is there twice with different values, programs take the last: whoever wrote
// it may have meant either.
func (r *reading) prefersSpelling(field int, differs bool) bool {
	bit, have, other := uint32(1)<<field, int(r.others[field]), r.other
	switch {
	case have == 0 && other == 0:
		if differs && lastCounts&bit == 0 {
			r.unsure |= bit
		}
		return true
	case differs && (have == other || decisive&bit != 0):
		r.unsure |= bit
	case other < have && decisive&bit == 0:
		r.unsure &^= bit
	}
	return other < have
}

// leaveOutUnsure leaves out the fields that may be wrong.
func (r *reading) leaveOutUnsure() {
	for field := range fieldCount {
		bit := uint32(1) << field
		if place := r.places[field]; place > 0 && r.isBuiltin(field, place) && r.differing&bit != 0 {
			r.unsure |= bit
		}
		if r.unsure&bit != 0 {
			*r.text(field), r.places[field] = "", 0
		}
	}
}

// Groups of fields that must be of one element where "*" leads to them: two people in one
// list must not become one.
const (
	noGroup = iota
	groupVisitor
	groupHost
	groupCount
)

// groupFields are the fields of each group.
var groupFields = func() (all [groupCount]uint32) {
	for field := range fieldCount {
		all[groupOf(field)] |= 1 << field
	}
	return all
}()

func groupOf(field int) uint8 {
	switch {
	case field >= visitID && field <= visitorType:
		return groupVisitor
	case field >= hostFirstName && field <= hostGroup:
		return groupHost
	default:
		return noGroup
	}
}

// isChosen reports whether a target may be taken from the elements that are read: of each
// "*" on the way, none or the same has been chosen for its group.
func (r *reading) isChosen(t target) bool {
	if t.group == noGroup {
		return true
	}
	for _, e := range r.elements {
		if e.star == 0 {
			continue
		}
		c := r.chosen[e.star*groupCount+int(t.group)]
		if c.serial == 0 || c.serial == e.serial {
			continue
		}
		if c.others != e.others {
			r.unsure |= groupFields[t.group] // two lists, by two spellings of one key
		}
		return false
	}
	return true
}

func (r *reading) choose(t target) {
	if t.group == noGroup {
		return
	}
	for _, e := range r.elements {
		if e.star == 0 {
			continue
		}
		r.chosen[e.star*groupCount+int(t.group)] = e
	}
}

// innermost is the innermost element that is read, or none.
func (r *reading) innermost() element {
	if len(r.elements) == 0 {
		return element{}
	}
	return r.elements[len(r.elements)-1]
}
