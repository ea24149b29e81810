package fields

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

func indexText(at int) string { return strconv.Itoa(at) }

// forAnswers is the target of a node that holds answers, or nil.
func (n *node) forAnswers() *target {
	for i := range n.targets {
		if n.targets[i].slot == answers {
			return &n.targets[i]
		}
	}
	return nil
}

// scalar reads a text, number or boolean.
func (r *reading) scalar(n *node, in *jsonReader, kind byte) error {
	value, err := in.value()
	if err != nil {
		return err
	}
	if kind == '"' && (n.inner() || n.forAnswers() != nil || n.mark != 0) {
		if inner := container(value, r.maxDepth); inner != "" {
			return r.textual(n, inner)
		}
	}
	for i := range n.targets {
		r.take(n.targets[i], value, kind)
	}
	return nil
}

// textual reads the object or list that a text holds. Below "*" it may be one that a
// visitor has typed: nothing in there is an id.
func (r *reading) textual(n *node, inner string) error {
	if r.innermost().any > 0 {
		r.typed++
		defer func() { r.typed-- }()
	}
	return r.value(n, &jsonReader{text: inner})
}

// take takes a value for a target unless a better place had one.
func (r *reading) take(t target, value string, kind byte) {
	if !r.isChosen(t) {
		return
	}
	if t.slot >= fieldCount {
		r.takePart(t, value, kind)
		return
	}
	if r.isSettled(t) {
		return
	}
	switch t.slot {
	case answers, wrapper:
		return
	case visitID, personID, externalID:
		if value = idOf(value, kind); value == "" || r.typed > 0 {
			return
		}
	case email, mobile, date: // a number is one as it is written
		value = content(value)
	case event, cause: // a number may be a code, where the configuration names just this place
		if kind != '"' && (t.first || t.place > r.configured[t.slot] || !isNumber(kind)) {
			return
		}
		value = content(value)
	default:
		if kind != '"' {
			return
		}
		value = content(value)
	}
	if isBlank(value) || t.slot >= firstName && t.slot <= hostGroup && saysNone(value) || !r.prefers(t, value) {
		return
	}
	if t.slot == visitID || t.slot == personID || t.slot == externalID {
		value = strings.Clone(value) // it may outlive the exchange, and would keep the whole body
	}
	*r.text(t.slot) = value
	r.others[t.slot], r.of[t.slot] = uint8(r.other), r.innermost()
	r.choose(t)
	r.note(t.slot, t.place)
}

// takePart takes a text or a number for a part of a template.
func (r *reading) takePart(t target, value string, kind byte) {
	if kind == 't' || kind == 'f' {
		return
	}
	have, text := &r.parts[t.slot-fieldCount], content(value)
	switch other := uint8(r.other); {
	case isBlank(text), saysNone(text):
		return
	case have.text == "":
	case other > have.others, t.first && (have.any != r.innermost().any || other+have.others == 0):
		return
	case other == have.others:
		have.unsure = have.unsure || text != have.text
		return
	}
	*have = part{text: text, others: uint8(r.other), any: r.innermost().any}
	r.choose(t)
	if r.trace != nil {
		r.trace.part(t.slot - fieldCount)
	}
}

// note notes where a field was found.
func (r *reading) note(field int, place uint8) {
	r.places[field] = place
	if field == event || ofPass(field) && place <= r.configured[field] {
		r.IsEvent = true
	}
	if r.trace != nil {
		r.trace.found(field)
	}
}

// text is where the value of a field belongs.
func (r *reading) text(field int) *string {
	p := &r.Pass
	switch field {
	case event:
		return &r.Event
	case date:
		return &r.Date
	case visitID:
		return &r.VisitID
	case personID:
		return &p.Person.ID
	case firstName:
		return &p.Person.FirstName
	case lastName:
		return &p.Person.LastName
	case personName:
		return &r.personName
	case email:
		return &p.Person.Email
	case mobile:
		return &p.Person.Mobile
	case photoURL:
		return &p.Person.PhotoURL
	case company:
		return &p.Company
	case visitorType:
		return &p.VisitorType
	case hostFirstName:
		return &r.host.FirstName
	case hostLastName:
		return &r.host.LastName
	case hostName:
		return &r.hostName
	case hostGroup:
		return &r.host.Group
	case externalID:
		return &r.ExternalID
	default:
		return &r.word
	}
}

func isNumber(kind byte) bool { return kind == '-' || isDigit(kind) }

// isBlank is visit.IsBlank, faster for what nearly every text begins with.
func isBlank(text string) bool {
	if text != "" && text[0] > ' ' && text[0] < 0x7f {
		return false
	}
	return visit.IsBlank(text)
}

// none are texts that programs write, and people, where there is no value. They are compared
// as they are written: there are people with the name Null.
var none = []string{"null", "NULL", "(null)", "undefined", "none", "None", "nil", "N/A", "n/a", "-", "--"}

func saysNone(text string) bool {
	return len(text) <= len("undefined") && slices.Contains(none, text) || isUnexpanded(text)
}

// unexpanded are how templates write a variable; a body that has one was sent by a program
// that did not know it.
var unexpanded = [][2]string{{"{{", "}}"}, {"${", "}"}, {"#{", "}"}, {"<%", "%>"}, {"[[", "]]"}, {"{%", "%}"}}

func isUnexpanded(text string) bool {
	if text == "" || strings.IndexByte("{$#<[", text[0]) < 0 {
		return false
	}
	return slices.ContainsFunc(unexpanded, func(marks [2]string) bool {
		return strings.HasPrefix(text, marks[0]) && strings.HasSuffix(text, marks[1])
	})
}

// placeholders are what programs write where they have no id, beside what is all zeros or
// all f. Taken for one, they would make one visit of many.
var placeholders = []string{"-1", "null", "(null)", "nil", "undefined", "none", "unknown", "n/a", "na", "nan", "pending", "new", "true", "false"}

// isVariable reports whether an id is the name of a variable between other marks, which a
// UUID may have around it as well.
func isVariable(id string) bool {
	marks := len(id) > 2 && (id[0] == '{' && id[len(id)-1] == '}' || id[0] == '<' && id[len(id)-1] == '>' || id[0] == '%' && id[len(id)-1] == '%')
	return marks && strings.Trim(strings.ToLower(id[1:len(id)-1]), "0123456789abcdef-") != ""
}

// noHyphens leaves of an id what distinguishes it: the rest is how a UUID is written.
var noHyphens = strings.NewReplacer("-", "", "{", "", "}", "")

// idOf reads an id, text or number, and leaves a placeholder out.
func idOf(value string, kind byte) string {
	if kind == 't' || kind == 'f' {
		return ""
	}
	id := strings.TrimSpace(content(value))
	if isPlaceholder(id) {
		return ""
	}
	return id
}

func isPlaceholder(id string) bool {
	if isUnexpanded(id) || isVariable(id) {
		return true
	}
	if len(id) > len("{00000000-0000-0000-0000-000000000000}") {
		return false
	}
	id = strings.ToLower(id)
	bare := noHyphens.Replace(id)
	return slices.Contains(placeholders, id) || strings.Trim(bare, "0.") == "" || strings.Trim(bare, "f") == ""
}
