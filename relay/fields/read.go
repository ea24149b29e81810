package fields

import (
	"hash/maphash"
	"slices"

	"github.com/sine-relay/sine-relay/visit"
)

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
	sameAsPerson               bool   // the visit's id was dropped: it is the person's
	parts                      []part // of templates
	wrapped                    []wrapped
	inside                     bool // of a wrapper
	answer                     answer
	answerBytes                int // length of all answers in the body
	mostAnswers                int // that are kept while it is read
	trace                      *trace

	certainty
	// elements are those of lists and objects in which "*" or a selector leads on, outermost
	// first, and chosen the one of each "*" from which the fields of a group are taken.
	elements []element
	serial   uint32
	chosen   []element
	typed    int // texts that are read as JSON below "*"
}

// element is one to which "*" or a selector leads, numbered in the order of reading.
type element struct {
	star   int // of the "*", or 0
	serial uint32
	any    uint32 // the serial of the innermost one of "*" that it is in, itself included
	others int    // keys on the way to it that are in another spelling
}

// reading begins to read a text.
func (f *Fields) reading(text string, maxDepth int) reading {
	r := reading{f: f, maxDepth: maxDepth, Body: &Body{configured: &f.counts, dates: &f.dates}, mostAnswers: mostAnswers(text)}
	if f.parts > 0 {
		r.parts = make([]part, f.parts)
	}
	if f.stars > 0 {
		r.chosen = make([]element, groupCount*(f.stars+1))
	}
	return r
}

// reset begins to read another text, in the memory of the last one.
func (r *reading) reset(text string) {
	f, body, parts, chosen := r.f, r.Body, r.parts, r.chosen
	*body = Body{configured: &f.counts, dates: &f.dates}
	clear(parts)
	clear(chosen)
	*r = reading{f: f, maxDepth: r.maxDepth, Body: body, parts: parts, chosen: chosen, elements: r.elements[:0], mostAnswers: mostAnswers(text)}
}

func mostAnswers(text string) int { return max(fewAnswers, 2*len(text)/answerCost) }

// all reads the body, and what it wraps. An error means that the whole is not JSON.
func (r *reading) all(text string) error {
	in := &jsonReader{text: text}
	if err := r.value(r.f.root, in); err != nil {
		return err
	}
	if err := in.end(); err != nil {
		return err
	}
	r.settle()
	r.unwrap()
	r.finish()
	return nil
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
		r.keepWrapped(n, rest, false) // of a body that is cut off
		return err
	}
	r.keepWrapped(n, value, false)
	if forAnswers != nil {
		if err := r.readAnswers(*forAnswers, &jsonReader{text: value}); err != nil {
			return err
		}
		return r.trace.quietly(func() error { return r.below(n, &jsonReader{text: value}, kind) })
	}
	return r.below(n, &jsonReader{text: value}, kind)
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
	case n.any == nil && next.name == name:
		return r.value(next, in)
	}
	return r.either(in, name, next, n.any)
}

var seed = maphash.MakeSeed()

// either reads a value to which several nodes lead, one after the other. The name is that
// of a member of an object.
func (r *reading) either(in *jsonReader, name string, nodes ...*node) error {
	value, err := in.value()
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n == nil {
			continue
		}
		r.trace.reach(n, value, r.maxDepth)
		if err := r.enter(n, name, &jsonReader{text: value}); err != nil {
			return err
		}
	}
	return nil
}

// enter reads the value to which a node leads: an element, or a member of that name.
func (r *reading) enter(n *node, name string, in *jsonReader) error {
	switch {
	case n.star > 0, n.selectedBy != "" && name == "":
		r.serial++
		e := element{n.star, r.serial, r.innermost().any, r.other}
		if n.star > 0 {
			e.any = e.serial
		}
		r.elements = append(r.elements, e)
		defer func() { r.elements = r.elements[:len(r.elements)-1] }()
	case name != "" && n.name != name:
		r.other++
		defer func() { r.other-- }()
	}
	return r.value(n, in)
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
		if len(nodes)+len(n.selectors) == 0 && !n.wrapsElement() && r.trace == nil {
			return in.skip()
		}
		value, err := in.value()
		if err != nil {
			return err
		}
		for _, i := range n.indexes {
			if i.at != at {
				r.keepWrapped(i.next, value, true)
			}
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
		return r.element(n, nodes, value, at)
	})
}

func (r *reading) element(n *node, nodes []*node, value string, at int) error {
	defer r.trace.in(at)()
	r.trace.element(n, at, nodes, value)
	return r.either(&jsonReader{text: value}, "", nodes...)
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
