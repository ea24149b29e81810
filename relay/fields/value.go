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
			return r.value(n, &jsonReader{text: inner})
		}
	}
	for i := range n.targets {
		r.take(n.targets[i], value, kind)
	}
	return nil
}

// take takes a value for a target unless a better place had one.
func (r *reading) take(t target, value string, kind byte) {
	if t.slot >= fieldCount {
		r.takePart(t, value, kind)
		return
	}
	if have := r.places[t.slot]; have != 0 && (have < t.place || have == t.place && t.first) {
		return
	}
	switch t.slot {
	case answers, wrapper:
		return
	case visitID, personID, externalID:
		if value = idOf(value, kind); value == "" {
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
	if isBlank(value) {
		return
	}
	*r.text(t.slot) = value
	r.note(t.slot, t.place)
}

// takePart takes a text or a number for a part of a template.
func (r *reading) takePart(t target, value string, kind byte) {
	if kind == 't' || kind == 'f' {
		return
	}
	part := &r.parts[t.slot-fieldCount]
	if text := content(value); !isBlank(text) && !(t.first && *part != "") {
		*part = text
		if r.trace != nil {
			r.trace.part(t.slot - fieldCount)
		}
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

// placeholders are what programs write where they have no id. Taken for one,
// they would make one visit of many.
var placeholders = []string{"0", "-1", "null", "undefined", "none", "00000000-0000-0000-0000-000000000000"}

// idOf reads an id, text or number, and leaves a placeholder out.
func idOf(value string, kind byte) string {
	if kind == 't' || kind == 'f' {
		return ""
	}
	id := strings.TrimSpace(content(value))
	if slices.Contains(placeholders, strings.ToLower(id)) {
		return ""
	}
	// The id may outlive the exchange, and would keep the whole body.
	return strings.Clone(id)
}
