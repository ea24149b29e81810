package relay

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sine-relay/sine-relay/visit"
)

// Identifier is a part of a pass that says who the visitor is. Its values are
// those of the configuration.
type Identifier string

const (
	ByName   Identifier = "name" // the first or the last
	ByEmail  Identifier = "email"
	ByMobile Identifier = "mobile"
)

// Identifiers are all of them.
var Identifiers = []Identifier{ByName, ByEmail, ByMobile}

// errUnidentified says why nobody was asked about a visitor, or what is odd about
// an event.
var errUnidentified = errors.New("the body does not say who the visitor is")

// identifies reports whether the pass says who the visitor is, by any one of what
// the integration goes by. An empty pass must not be taken for a visitor whom
// nothing speaks against.
func (i *Integration) identifies(p *visit.Pass) bool {
	return len(i.IdentifiedBy) == 0 || slices.ContainsFunc(i.IdentifiedBy, func(by Identifier) bool { return by.in(p) })
}

func (by Identifier) in(p *visit.Pass) bool {
	switch by {
	case ByName:
		return !visit.Blank(p.Person.FirstName) || !visit.Blank(p.Person.LastName)
	case ByEmail:
		return !visit.Blank(p.Person.Email)
	default:
		return !visit.Blank(p.Person.Mobile)
	}
}

func checkIdentifiers(all []Identifier) error {
	for _, by := range all {
		if !slices.Contains(Identifiers, by) {
			return fmt.Errorf("a visitor is identified by %v, not by %q", Identifiers, by)
		}
	}
	return nil
}
