package fields

import (
	"slices"
)

// wrapped is a value that may hold the same object once more.
type wrapped struct {
	text  string
	place uint8
	at    string // its pointer, for the trace
}

// keepWrapped notes an object in which all other places may begin.
func (r *reading) keepWrapped(n *node, value string) {
	for _, t := range n.targets {
		if t.slot == wrapper {
			r.wrapped = append(r.wrapped, wrapped{value, t.place, r.trace.here()})
		}
	}
}

// unwrap reads the first wrapped object that is an event, over what was read around it.
// Where there is a pass outside, only a wrapper that is configured counts.
func (r *reading) unwrap() {
	slices.SortStableFunc(r.wrapped, func(a, b wrapped) int { return int(a.place) - int(b.place) })
	for _, w := range r.wrapped {
		if r.hasData && w.place > r.configured[wrapper] {
			return
		}
		inner, body := *r, *r.Body
		inner.Body, inner.wrapped = &body, nil
		inner.IsEvent = false
		inner.forgetGuesses()
		inner.parts = slices.Clone(r.parts)
		inner.trace = r.trace.below(w.at)
		in := &jsonReader{text: w.text}
		if inner.value(r.f.root, in) == nil && in.end() == nil && inner.IsEvent {
			inner.places[wrapper], inner.wrapped = w.place, nil
			*r = inner
			return
		}
	}
}

// forgetGuesses leaves of what was found outside of a wrapper the event and the date, and
// what is at a configured place: the rest need not belong to the pass inside.
func (r *reading) forgetGuesses() {
	r.hasHost = false
	for field := range fieldCount {
		switch {
		case r.origin(field) != BuiltIn, field == event, field == date, field == wrapper:
			continue
		case field == answers:
			r.Pass.FormAnswers, r.UnreadAnswers = nil, false
		default:
			*r.text(field) = ""
		}
		r.places[field] = 0
	}
	r.Pass.FormAnswers = slices.Clone(r.Pass.FormAnswers)
}
