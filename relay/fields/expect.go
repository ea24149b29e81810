package fields

import (
	"fmt"
	"slices"
	"strings"
)

// Expectation is one or several fields, one of which is expected in a body.
type Expectation struct{ anyOf []int }

// groups are several fields by one name.
var groups = map[string][]int{"person": {firstName, lastName}, "host": {hostFirstName, hostLastName, hostGroup}}

// expected are the fields that an expectation may name.
var expected = []Field{Visit, Date, PersonID, FirstName, LastName, Email, Mobile, PhotoURL, Company, VisitorType, HostFirstName, HostLastName, HostGroup, Answers}

// ParseExpectation reads an expectation: a field such as company, or several of which one
// will do, such as person.lastName|person.mobile. "person" stands for the first or the
// last name, "host" for a name or the group.
func ParseExpectation(text string) (Expectation, error) {
	var e Expectation
	for name := range strings.SplitSeq(text, "|") {
		name = strings.TrimSpace(name)
		if group := groups[name]; group != nil {
			e.anyOf = append(e.anyOf, group...)
			continue
		}
		if !slices.Contains(expected, Field(name)) {
			return e, fmt.Errorf("%s; must be person, host, or of %s, or several with \"|\" between", notExpected(name), join(expected))
		}
		e.anyOf = append(e.anyOf, numberOf(Field(name)))
	}
	return e, nil
}

// notExpected says why a name cannot be expected.
func notExpected(name string) string {
	switch whole := Field(name); {
	case whole == PersonName, whole == HostName:
		group, _, _ := strings.Cut(name, ".")
		return fmt.Sprintf("cannot have %s, which becomes the last name: %s expects a name in one text or in two", name, group)
	case slices.Contains(All, whole):
		return fmt.Sprintf("cannot have %s", name)
	default:
		return fmt.Sprintf("has unknown field %q%s", name, suggest(name, expected))
	}
}

// Person is the expectation that the visitor has a name.
var Person = Expectation{groups["person"]}

// Fields are those of which one is expected.
func (e Expectation) Fields() []Field {
	all := make([]Field, len(e.anyOf))
	for i, field := range e.anyOf {
		all[i] = All[field]
	}
	return all
}

// Meets reports whether a field of the expectation was found. One for which the
// configuration names places must be at one of them: elsewhere, what has its name need
// not be it. A date that cannot be read is none.
func (b *Body) Meets(e Expectation) bool {
	return slices.ContainsFunc(e.anyOf, func(field int) bool {
		return b.isSure(field) && (field != date || !b.HasUnreadDate())
	})
}

// Lacks returns the fields of those expectations that the body does not meet, each once,
// in the order of the expectations.
func (b *Body) Lacks(all []Expectation) (missing []string) {
	for _, e := range all {
		if b.Meets(e) {
			continue
		}
		for _, field := range e.Fields() {
			if !slices.Contains(missing, string(field)) {
				missing = append(missing, string(field))
			}
		}
	}
	return missing
}
