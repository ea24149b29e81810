package fields

import (
	"hash/maphash"
	"slices"
	"strings"

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
	case place <= b.configured[field]:
		return Configured
	default:
		return BuiltIn
	}
}

// reading is one pass over a body.
type reading struct {
	*Body
	f        *Fields
	maxDepth int
	// hasData is set for an object at the place where Sine has the pass.
	hasData bool
	host    visit.Host
	hasHost bool
	// Whole names, and the word for a cause.
	personName, hostName, word string
	parts                      []string // of templates
	wrapped                    []wrapped
	answer                     answer
	answerBytes                int // length of all answers in the body
	trace                      *trace
}

// wrapped is a value that may hold the same object once more.
type wrapped struct {
	text  string
	place uint8
	at    string // its pointer, for the trace
}

func (f *Fields) reading(maxDepth int) reading {
	r := reading{f: f, maxDepth: maxDepth, Body: &Body{configured: &f.counts}}
	if f.parts > 0 {
		r.parts = make([]string, f.parts)
	}
	return r
}

// all reads the body, and what it wraps. An error means that the whole is not JSON.
func (r *reading) all(text string) error {
	in := &jsonReader{text: text}
	if err := r.value(r.f.root, in); err != nil {
		return err
	}
	if err := in.end(); err != nil {
		return err
	}
	r.unwrap()
	r.finish()
	return nil
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

// finish joins what belongs together.
func (r *reading) finish() {
	for i := range r.f.templates {
		r.join(&r.f.templates[i])
	}
	r.limitAnswers()
	p := &r.Pass
	if r.places[personName] > 0 && r.places[firstName] == 0 && r.places[lastName] == 0 {
		p.Person.LastName, r.places[lastName] = r.personName, r.wholeName(personName, lastName)
	}
	if r.places[hostName] > 0 && r.places[hostFirstName] == 0 && r.places[hostLastName] == 0 {
		r.host.LastName, r.places[hostLastName] = r.hostName, r.wholeName(hostName, hostLastName)
	}
	if r.hasHost || r.host != (visit.Host{}) {
		p.Host = &visit.Host{FirstName: r.host.FirstName, LastName: r.host.LastName, Group: r.host.Group}
	}
	if r.VisitID != "" && r.VisitID == p.Person.ID && (r.f.counts[personID] > 0 || r.places[visitID] == r.f.bareID) {
		r.VisitID, r.places[visitID] = "", 0 // whichever place it comes from, it is the person's
	}
	r.Cause = visit.CauseUnknown
	if r.word != "" {
		r.Cause = r.f.causeOf(r.word)
	}
}

// wholeName is the number of a place of the last name for one of the whole name: a
// configured one where that is.
func (r *reading) wholeName(whole, last int) uint8 {
	if r.places[whole] <= r.configured[whole] {
		return 1
	}
	return r.configured[last] + 1
}

// join takes the value of a template where each part has one.
func (r *reading) join(t *template) {
	if have := r.places[t.field]; have != 0 && int(have) <= t.place {
		return
	}
	var b strings.Builder
	for i, part := range t.parts {
		if r.parts[part] == "" {
			return
		}
		b.WriteString(t.texts[i])
		b.WriteString(r.parts[part])
	}
	b.WriteString(t.texts[len(t.texts)-1])
	*r.text(t.field) = b.String()
	r.note(t.field, uint8(t.place))
	if r.trace != nil {
		r.trace.joined(t.field, t.parts)
	}
}

// value reads the next value, to which the pointers of a node lead.
func (r *reading) value(n *node, in *jsonReader) error {
	switch b := in.peek(); b {
	case '{', '[':
		return r.nested(n, in, b)
	case '"', 't', 'f', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		if len(n.targets) == 0 && !n.inner() {
			return in.skip()
		}
		return r.scalar(n, in, b)
	default:
		return in.skip()
	}
}

// nested reads an object or a list.
func (r *reading) nested(n *node, in *jsonReader, kind byte) error {
	forAnswers := n.forAnswers()
	if n.mark&markWrapper == 0 && (forAnswers == nil || !n.inner()) {
		if forAnswers != nil {
			return r.readAnswers(*forAnswers, in)
		}
		return r.below(n, in, kind)
	}
	rest := in.text[in.at:]
	value, err := in.value()
	if err != nil {
		r.keepWrapped(n, rest) // of a body that is cut off
		return err
	}
	r.keepWrapped(n, value)
	if forAnswers != nil {
		if err := r.readAnswers(*forAnswers, &jsonReader{text: value}); err != nil {
			return err
		}
		return r.trace.quietly(func() error { return r.below(n, &jsonReader{text: value}, kind) })
	}
	return r.below(n, &jsonReader{text: value}, kind)
}

// keepWrapped notes an object in which all other places may begin.
func (r *reading) keepWrapped(n *node, value string) {
	for _, t := range n.targets {
		if t.slot == wrapper {
			r.wrapped = append(r.wrapped, wrapped{value, t.place, r.trace.here()})
		}
	}
}

// below follows the pointers that lead on from an object or a list.
func (r *reading) below(n *node, in *jsonReader, kind byte) error {
	switch {
	case kind == '{':
		r.marked(n)
		if n.inner() || r.trace != nil {
			return r.object(n, in)
		}
	case len(n.indexes)+len(n.selectors) > 0 || n.any != nil:
		return r.list(n, in)
	}
	return in.skip()
}

// marked notes what follows from an object.
func (r *reading) marked(n *node) {
	if n.mark&markPass != 0 {
		r.hasData, r.IsEvent = true, true
	}
	if n.mark&markHost != 0 {
		r.hasHost = true
	}
}

func (r *reading) object(n *node, in *jsonReader) error {
	in.at++ // the brace, which peek has found
	if in.accept('}') {
		return nil
	}
	for {
		name, err := in.name()
		if err != nil {
			return err
		}
		if err := r.member(n, in, name); err != nil {
			return err
		}
		switch in.peek() {
		case ',':
			in.at++
		case '}':
			in.at++
			return nil
		default:
			return errNotJSON
		}
	}
}

// member reads the value of a key.
func (r *reading) member(n *node, in *jsonReader, name string) error {
	next := n.child(name)
	switch {
	case r.trace != nil:
		return r.traced(n, next, in, name)
	case next == nil && n.any == nil:
		r.Unknown += maphash.String(seed, name) * (2*n.id + 1)
		return in.skip()
	case n.any == nil:
		return r.value(next, in)
	}
	return r.either(in, next, n.any)
}

var seed = maphash.MakeSeed()

// either reads a value to which several nodes lead, one after the other.
func (r *reading) either(in *jsonReader, nodes ...*node) error {
	value, err := in.value()
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n == nil {
			continue
		}
		if err := r.value(n, &jsonReader{text: value}); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) list(n *node, in *jsonReader) error {
	at := -1
	return in.eachElement(func() error {
		at++
		var nodes []*node
		for _, i := range n.indexes {
			if i.at == at {
				nodes = append(nodes, i.next)
			}
		}
		if n.any != nil {
			nodes = append(nodes, n.any)
		}
		if len(nodes)+len(n.selectors) == 0 {
			return in.skip()
		}
		value, err := in.value()
		if err != nil {
			return err
		}
		selected := false
		for _, s := range n.selectors {
			if s.matches(value) {
				nodes, selected = append(nodes, s.next), true
			}
		}
		if !selected && len(n.selectors) > 0 {
			r.unselected(n, value)
		}
		return r.element(nodes, value, at)
	})
}

func (r *reading) element(nodes []*node, value string, at int) error {
	defer r.trace.in(at)()
	return r.either(&jsonReader{text: value}, nodes...)
}

// matches reports whether an element of a list has the selector's text at its member.
func (s selector) matches(element string) (found bool) {
	eachText(element, s.member, func(text string) { found = found || keyOf(text) == s.is })
	return found
}

// unselected counts an element that no selector chose among the unknown keys: the text by
// which it might have been chosen stands for a key.
func (r *reading) unselected(n *node, element string) {
	for i, s := range n.selectors {
		if slices.ContainsFunc(n.selectors[:i], func(other selector) bool { return other.member == s.member }) {
			continue
		}
		eachText(element, s.member, func(text string) {
			r.Unknown += maphash.String(seed, s.member+"="+keyOf(text)) * (2*n.id + 1)
			if r.trace != nil {
				r.trace.unselected = append(r.trace.unselected, r.trace.here()+"/"+escapes.Replace(s.member+"="+text))
			}
		})
	}
}

// eachText calls fn for each text that an element of a list has at a member.
func eachText(element, member string, fn func(text string)) {
	in := &jsonReader{text: element}
	read := func(name string) error {
		if keyOf(name) != member || in.peek() != '"' {
			return in.skip()
		}
		value, err := in.value()
		if err == nil {
			fn(content(value))
		}
		return err
	}
	if kindOf(element) == '[' {
		at := -1
		_ = in.eachElement(func() error { at++; return read(indexText(at)) })
	} else {
		_ = in.eachField(read)
	}
}
