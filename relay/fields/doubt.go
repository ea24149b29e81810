package fields

import (
	"fmt"
	"slices"
)

// Doubts are what is allowed in the specification and probably not meant: the same value
// would be two fields, or a place is there twice. Only those of fields for which own has
// places are among them.
func (f *Fields) Doubts(own Spec) (all []Problem) {
	var places []doubted
	for field, configured := range f.configured {
		for i, text := range configured {
			p, err := parsePointer(text)
			if err != nil { // a template: what it joins may be a field of its own
				p = nil
			}
			places = append(places, doubted{field, i, text, p})
		}
	}
	slices.SortStableFunc(places, func(a, b doubted) int { return a.rank(own) - b.rank(own) })
	for i, d := range places {
		if d.rank(own) == inherited {
			continue
		}
		what := d.twice(places[:i])
		if what == "" {
			what = d.ofAnother()
		}
		if what != "" {
			all = append(all, Problem{pathOf(d.field, d.at), what})
		}
	}
	return all
}

// doubted is a configured place.
type doubted struct {
	field, at int
	text      string
	pointer   pointer
}

const inherited = -1

// rank is less for a place that the specification has from its base.
func (d doubted) rank(own Spec) int {
	if own.Places[All[d.field]] == nil {
		return inherited
	}
	return 0
}

// twice says of which place before it is a repetition.
func (d doubted) twice(before []doubted) string {
	for _, b := range before {
		same := d.text == b.text || d.pointer != nil && b.pointer != nil && d.pointer.equals(b.pointer)
		switch {
		case !same:
		case d.field == b.field:
			return fmt.Sprintf("is the same place as %s; remove one of them", pathOf(b.field, b.at))
		case !mayShare(d.field, b.field):
			return fmt.Sprintf("is the same place as %s: one value would be both; name the place of each", pathOf(b.field, b.at))
		}
	}
	return ""
}

// ofAnother says of which other field it is a built-in place.
func (d doubted) ofAnother() string {
	for field := range builtinPointers {
		if d.pointer == nil || field == d.field || mayShare(field, d.field) {
			continue
		}
		if slices.ContainsFunc(builtinPointers[field], d.pointer.equals) && !slices.ContainsFunc(builtinPointers[d.field], d.pointer.equals) {
			return fmt.Sprintf("is a built-in place of %s: one value would be both; is it a slip?", All[field])
		}
	}
	return ""
}

// shared are fields that one value may be: a name in one text may stand where a last name
// is looked for, and the event may say why a pass ended. Ids have rules of their own.
var shared = [][]int{{firstName, personName}, {lastName, personName}, {hostFirstName, hostName}, {hostLastName, hostName}, {event, cause}, {visitID, personID}}

func mayShare(a, b int) bool {
	return slices.ContainsFunc(shared, func(pair []int) bool { return slices.Contains(pair, a) && slices.Contains(pair, b) })
}

// equals reports whether two pointers say the same.
func (p pointer) equals(q pointer) bool {
	return slices.EqualFunc(p, q, func(a, b segment) bool { return a.any == b.any && a.key == b.key })
}
