package fields

import (
	"maps"
	"slices"
	"strings"
)

// wrapped is a value that may hold the same object once more.
type wrapped struct {
	text  string
	place uint8
	// beside is set for an element of a list of which a place names another.
	beside bool
	at     string // its pointer, for the trace
}

// order is by place, and at each place what is beside it last.
func (w wrapped) order() int {
	if w.beside {
		return 2*int(w.place) + 1
	}
	return 2 * int(w.place)
}

// keepWrapped notes an object in which all other places may begin.
func (r *reading) keepWrapped(n *node, value string, beside bool) {
	if r.inside {
		return
	}
	for _, t := range n.targets {
		if t.slot == wrapper {
			r.wrapped = append(r.wrapped, wrapped{value, t.place, beside, r.trace.here()})
		}
	}
}

// unwrap reads the first wrapped object that is an event, in place of what is around it.
// Where there is a pass outside, only a wrapper that is configured counts. Of several
// events at one place none is read: all but one would be lost.
//
// A body may repeat a key as often as it likes, so what is read in vain must cost no more
// than its length: nothing of what was found outside is copied for it.
func (r *reading) unwrap() {
	if len(r.wrapped) == 0 {
		return
	}
	slices.SortStableFunc(r.wrapped, func(a, b wrapped) int { return a.order() - b.order() })
	var found *reading
	var place uint8
	inner := r.f.reading("", r.maxDepth)
	for _, w := range r.wrapped {
		switch {
		case found != nil && w.place != place, r.hasData && w.place > r.configured[wrapper]:
			r.replace(found, place)
			return
		case found == nil && w.beside || !inner.readWrapped(w, r.trace != nil):
			continue
		case found != nil:
			r.Event, r.places[event], r.IsEvent = "", 0, false
			return
		}
		one := inner
		found, place = &one, w.place
		inner = r.f.reading("", r.maxDepth)
	}
	r.replace(found, place)
}

// readWrapped reads a wrapped object alone, and reports whether it is an event.
func (r *reading) readWrapped(w wrapped, traced bool) bool {
	r.reset(w.text)
	r.inside = true
	if traced {
		r.trace = newTrace(r.f, w.at)
	}
	if kindOf(w.text) == '"' {
		w.text = container(w.text, r.maxDepth)
	}
	in := &jsonReader{text: w.text}
	if r.value(r.f.root, in) != nil || in.end() != nil {
		return false
	}
	r.settle()
	return r.IsEvent
}

// replace makes what was found inside of a wrapper the reading, with what was found outside
// alone: the event and the date, and what is at a configured place. The rest need not
// belong to the pass inside.
func (r *reading) replace(inner *reading, place uint8) {
	if inner == nil {
		return
	}
	inner.Unknown += r.Unknown
	found := inner.places
	inner.trace.around(r.trace)
	for i := range inner.parts {
		if inner.parts[i].text == "" {
			inner.parts[i] = r.parts[i]
			inner.trace.takePart(r.trace, i)
		}
	}
	for i := range r.f.templates {
		if t := &r.f.templates[i]; found[t.field] == 0 {
			inner.join(t)
		}
	}
	for field := range fieldCount {
		have, outside := inner.places[field], r.places[field]
		switch {
		case found[field] != 0, outside == 0, have != 0 && have <= outside, inner.unsure&(1<<field) != 0, field == wrapper:
			continue
		case r.origin(field) != Configured && field != event && field != date:
			continue
		case field == answers:
			inner.Pass.FormAnswers, inner.UnreadAnswers = r.Pass.FormAnswers, inner.UnreadAnswers || r.UnreadAnswers
			inner.answerBytes = r.answerBytes
		default:
			*inner.text(field) = *r.text(field)
		}
		inner.places[field] = outside
		inner.trace.take(r.trace, field)
	}
	inner.places[wrapper], inner.wrapped = place, nil
	*r = *inner
}

func newTrace(f *Fields, base string) *trace {
	return &trace{base: base, parts: make([]string, f.parts), led: map[string]bool{}, any: map[string]bool{}}
}

// around adds what was noted outside of the wrapper that this trace is in.
func (t *trace) around(outer *trace) {
	if t == nil {
		return
	}
	outside := func(pointer string) bool { return pointer != t.base && !strings.HasPrefix(pointer, t.base+"/") }
	var unknown []UnknownKey
	for _, u := range outer.unknown {
		if outside(u.At) {
			unknown = append(unknown, u)
		}
	}
	t.unknown = append(unknown, t.unknown...)
	var others []reached
	for _, one := range outer.reached {
		if outside(one.at) {
			others = append(others, one)
		}
	}
	t.reached = append(others, t.reached...)
	for pointer, on := range outer.led {
		if outside(pointer) {
			t.led[pointer] = on
		}
	}
	maps.Copy(t.any, outer.any)
	t.unselected = append(outer.unselected, t.unselected...)
	t.at[wrapper] = []string{t.base}
}

// take takes over where a field was found.
func (t *trace) take(outer *trace, field int) {
	if t != nil {
		t.at[field] = outer.at[field]
		if field == answers {
			t.answersAt = outer.answersAt
		}
	}
}

func (t *trace) takePart(outer *trace, slot int) {
	if t != nil {
		t.parts[slot] = outer.parts[slot]
	}
}
