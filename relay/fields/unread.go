package fields

import (
	"slices"
	"strings"
)

// Unread is a value to which a place leads, or from which places would lead on, and that
// is in no field.
type Unread struct {
	At string
	// Type is that of the value: object, list, string, number or boolean.
	Type string
	// Field is the first for which the value would be. It is empty with [NoPlace].
	Field Field
	Why   Why
}

// Why says why a value is in no field.
type Why string

const (
	// OtherPlace means that a place that is tried earlier has a value.
	OtherPlace Why = "other_place"
	// Unusable means that it has another type than the field, or is what programs write
	// where they have no id.
	Unusable Why = "unusable"
	// SameAsPerson is an id of a visit that is the person's.
	SameAsPerson Why = "same_as_person"
	// HalfTemplate is a part of a template of which another part has no value.
	HalfTemplate Why = "half_template"
	// OutsideWrapper is at a built-in place outside of the object that is read.
	OutsideWrapper Why = "outside_wrapper"
	// NoPlace is an element of a list, or a value of another type than one from which
	// places lead on.
	NoPlace Why = "no_place"
)

// maxReached bounds the values that are looked at for [Report.Unread].
const maxReached = 4096

// reached is a value to which a node of the tree leads.
type reached struct {
	at, kind string
	targets  []target
}

// reach notes a value to which a node leads. One that says nothing, such as null or an
// empty list, is left out.
func (t *trace) reach(n *node, value string, maxDepth int) {
	if t == nil || len(t.reached) >= maxReached || saysNothing(value) {
		return
	}
	kind := kindOf(value)
	if kind == '"' && (n.inner() || n.forAnswers() != nil || n.mark != 0) {
		if inner := container(value, maxDepth); inner != "" {
			kind = kindOf(inner)
		}
	}
	targets := n.targets
	leadsOn := n.leadsOnFrom(kind)
	if leadsOn {
		// What is meant is what is in there.
		targets = slices.DeleteFunc(slices.Clone(targets), func(t target) bool { return t.slot != answers && t.slot != wrapper })
	}
	if len(n.targets) > 0 || leadsOn {
		t.led[t.here()] = true
	}
	if len(targets) > 0 || len(n.targets) == 0 && !leadsOn {
		t.reached = append(t.reached, reached{t.here(), typeOf(kind), targets})
	}
}

// answers notes where answers are taken from: here, or here as well.
func (t *trace) answers(more bool) {
	if t == nil {
		return
	}
	if !more {
		t.answersAt = nil
	}
	t.answersAt = append(t.answersAt, t.here())
}

// element notes an element of a list. The first of a pair has chosen the second.
func (t *trace) element(n *node, at int, nodes []*node, value string) {
	switch {
	case t == nil, n.selectedBy == indexText(at):
	case len(nodes) > 0: // each notes it
	case len(t.reached) < maxReached && !saysNothing(value):
		t.reached = append(t.reached, reached{t.here(), typeOf(kindOf(value)), nil})
	}
}

func saysNothing(value string) bool {
	in := &jsonReader{text: value}
	switch in.peek() {
	case '"':
		return isBlank(content(value[in.at:]))
	case '{':
		return in.accept('{') && in.accept('}')
	case '[':
		return in.accept('[') && in.accept(']')
	default:
		return in.peek() == 'n'
	}
}

// leadsOnFrom reports whether pointers lead on from a value of this kind.
func (n *node) leadsOnFrom(kind byte) bool {
	return kind == '{' && n.inner() || kind == '[' && (len(n.indexes)+len(n.selectors) > 0 || n.any != nil)
}

// unread are the values that were reached and are in no field.
func (r *reading) unread() (all []Unread) {
	used := slices.Clone(r.trace.answersAt)
	for field := range fieldCount {
		if r.places[field] > 0 {
			used = append(used, r.trace.at[field]...)
		}
	}
	seen := map[string]bool{}
	for _, at := range used {
		seen[at] = true
	}
	for _, one := range r.trace.reached {
		if seen[one.at] || len(one.targets) == 0 && (r.trace.led[one.at] || r.isInAnswers(one.at)) {
			continue
		}
		if slices.ContainsFunc(r.trace.at[wrapper], func(at string) bool { return strings.HasPrefix(at, one.at+"/") }) {
			continue // a wrapper in a wrapper
		}
		seen[one.at] = true
		u := Unread{At: one.at, Type: one.kind, Why: NoPlace}
		if len(one.targets) > 0 {
			field := r.f.fieldOf(one.targets[0].slot)
			u.Field, u.Why = All[field], r.why(field, one)
		}
		all = append(all, u)
	}
	return all
}

func (r *reading) isInAnswers(at string) bool {
	return slices.ContainsFunc(r.trace.answersAt, func(list string) bool { return strings.HasPrefix(at, list+"/") })
}

// fieldOf is the field of a slot, which may be a part of a template.
func (f *Fields) fieldOf(slot int) int {
	for _, t := range f.templates {
		if slices.Contains(t.parts, slot-fieldCount) {
			return t.field
		}
	}
	return slot
}

func (r *reading) why(field int, one reached) Why {
	t := one.targets[0]
	inside := r.places[wrapper] == 0 || slices.ContainsFunc(r.trace.at[wrapper], func(at string) bool { return strings.HasPrefix(one.at, at+"/") })
	switch {
	case field == visitID && r.sameAsPerson:
		return SameAsPerson
	case r.places[field] != 0:
		return OtherPlace
	case !inside && t.place > r.configured[field]:
		return OutsideWrapper
	case t.slot >= fieldCount:
		return HalfTemplate
	default:
		return Unusable
	}
}
