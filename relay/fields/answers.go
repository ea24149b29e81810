package fields

import (
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

// Slots of an answer's tree.
const (
	slotLabel = iota
	slotValue
)

// answer is what was found of one answer.
type answer struct {
	visit.FormAnswer
	label, value uint8 // places
}

// readAnswers reads the answers of a form. Those of a place that is tried earlier, be it
// read earlier or later, are in place of them.
func (r *reading) readAnswers(t target, in *jsonReader) error {
	have, before := r.places[answers], len(r.Pass.FormAnswers)
	if have != 0 && have < t.place {
		return in.skip()
	}
	kept, unread := r.Pass.FormAnswers, r.UnreadAnswers
	if have > t.place {
		r.Pass.FormAnswers, r.UnreadAnswers, before = nil, false, 0
	}
	if r.Pass.FormAnswers == nil {
		r.Pass.FormAnswers = make([]visit.FormAnswer, 0, usualAnswers)
	}
	var err error
	start := in.at
	if in.peek() == '[' {
		err = in.eachElement(func() error { return r.readAnswer(in) })
	} else {
		err = in.eachField(func(label string) error { return r.readLabelled(in, label) })
		r.pairNumbered(before)
	}
	r.answerBytes += in.at - start
	if len(r.Pass.FormAnswers) == before {
		r.Pass.FormAnswers, r.UnreadAnswers = kept, unread || r.UnreadAnswers
		return err
	}
	r.note(answers, t.place)
	r.trace.answers(have == t.place)
	return err
}

// usualAnswers are what there is room for at first.
const usualAnswers = 8

// readAnswer reads an element of a list: an object, or a pair.
func (r *reading) readAnswer(in *jsonReader) error {
	r.answer = answer{}
	var err error
	switch in.peek() {
	case '{':
		err = r.answerObject(r.f.answer, in)
	case '[':
		err = r.answerPair(in)
	default:
		err = in.skip()
	}
	r.addAnswer()
	return err
}

// answerObject reads the fields of an answer, or of an object in it.
func (r *reading) answerObject(n *node, in *jsonReader) error {
	in.at++ // the brace, which peek has found
	if in.accept('}') {
		return nil
	}
	for {
		name, err := in.name()
		if err != nil {
			return err
		}
		if err := r.answerField(n.child(name), in); err != nil {
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

func (r *reading) answerField(n *node, in *jsonReader) error {
	switch {
	case n == nil:
		return in.skip()
	case n.inner() && in.peek() == '{':
		return r.answerObject(n, in)
	case len(n.targets) == 0:
		return in.skip()
	}
	value, err := in.value()
	if err == nil {
		r.answerValue(n, value)
	}
	return err
}

// answerValue takes a value for label or value, or, where one key has both meanings, for
// both.
func (r *reading) answerValue(n *node, value string) {
	for _, t := range n.targets {
		switch {
		case t.slot == slotLabel && value[0] == '"' && (r.answer.label == 0 || t.place <= r.answer.label):
			r.answer.Label, r.answer.label = content(value), t.place
		case t.slot == slotValue && value != "null" && (r.answer.value == 0 || t.place <= r.answer.value):
			r.answer.Value, r.answer.value = content(value), t.place
		}
	}
}

// answerPair reads a list of a label and a value.
func (r *reading) answerPair(in *jsonReader) error {
	at := 0
	err := in.eachElement(func() error {
		value, err := in.value()
		switch {
		case err != nil:
		case at == 0 && value[0] == '"':
			r.answer.Label = content(value)
		case at == 1 && value == "null":
		case at == 1:
			r.answer.Value = content(value)
		default:
			at = len("no pair")
		}
		at++
		return err
	})
	if at != 2 {
		r.answer = answer{}
	}
	return err
}

// readLabelled reads the value of an object that has answers by their labels: the answer
// itself, or an object that holds it, or even its label.
func (r *reading) readLabelled(in *jsonReader, label string) error {
	r.answer = answer{FormAnswer: visit.FormAnswer{Label: label}}
	if in.peek() == '{' {
		text, err := in.value()
		if err != nil {
			return err
		}
		if err := r.answerObject(r.f.answer, &jsonReader{text: text}); err != nil {
			return err
		}
		if r.answer.value == 0 {
			r.answer.Value = text
		}
		r.addAnswer()
		return nil
	}
	value, err := in.value()
	if err == nil && value != "null" {
		r.answer.Value = content(value)
	}
	r.addAnswer()
	return err
}

// pairNumbered joins the answers from one on whose labels are a key of labels or of values
// and a number, as question_1 and answer_1 of one object.
func (r *reading) pairNumbered(from int) {
	type pair struct{ label, value []int }
	var pairs map[string]pair
	all := r.Pass.FormAnswers[from:]
	for i := range all {
		slot, number, is := r.half(all[i].Label)
		if !is {
			continue
		}
		if pairs == nil {
			pairs = map[string]pair{}
		}
		p := pairs[number]
		if slot == slotLabel {
			p.label = append(p.label, i)
		} else {
			p.value = append(p.value, i)
		}
		pairs[number] = p
	}
	if pairs == nil {
		return
	}
	joined := all[:0]
	for i, a := range all {
		_, number, is := r.half(a.Label)
		p := pairs[number]
		switch {
		case !is || len(p.label) != 1 || len(p.value) != 1:
			joined = append(joined, a)
		case i == min(p.label[0], p.value[0]):
			joined = append(joined, visit.FormAnswer{Label: all[p.label[0]].Value, Value: all[p.value[0]].Value})
		}
	}
	r.Pass.FormAnswers = r.Pass.FormAnswers[:from+len(joined)]
}

// half reports of which answer a numbered key is the label or the value. One that could be
// either is neither.
func (r *reading) half(key string) (slot int, number string, is bool) {
	name := strings.TrimRight(key, "0123456789")
	if name == key {
		return 0, "", false
	}
	n := r.f.answer.child(name)
	if n == nil || len(n.targets) == 0 {
		return 0, "", false
	}
	slot = n.targets[0].slot
	for _, t := range n.targets {
		if t.slot != slot {
			return 0, "", false
		}
	}
	return slot, key[len(name):], true
}

// addAnswer adds the answer that was read, if it says anything. More than could be left by
// [reading.limitAnswers] would only take up memory.
func (r *reading) addAnswer() {
	if r.answer.FormAnswer == (visit.FormAnswer{}) || len(r.Pass.FormAnswers) >= r.mostAnswers {
		r.UnreadAnswers = true
		return
	}
	r.Pass.FormAnswers = append(r.Pass.FormAnswers, r.answer.FormAnswer)
}

const (
	// answerCost is how much longer an answer is in a message than label and value.
	answerCost = len(`{"label":"","value":""},`)
	// fewAnswers cannot make a message longer than was checked.
	fewAnswers = 1024 / answerCost
)

// limitAnswers leaves out those answers that would be longer in our words than in Sine's:
// many short ones in pairs or an object could make the message longer than its stream
// takes, and an event that is refused is lost.
func (r *reading) limitAnswers() {
	if len(r.Pass.FormAnswers) <= fewAnswers {
		return
	}
	room := 2 * r.answerBytes
	for i, a := range r.Pass.FormAnswers {
		if room -= answerCost + encodedLength(a.Label) + encodedLength(a.Value); room < 0 && i >= fewAnswers {
			r.Pass.FormAnswers, r.UnreadAnswers = r.Pass.FormAnswers[:i], true
			return
		}
	}
}

// encodedLength is how long a text is in JSON at most.
func encodedLength(text string) (n int) {
	for i := range len(text) {
		switch b := text[i]; {
		case b < ' ', b == 0x7f:
			n += len(`\u0000`)
		case b == '"', b == '\\', b >= 0x80:
			n += 2
		default:
			n++
		}
	}
	return n
}
