package relay

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sine-relay/sine-relay/visit"
)

// delivery is the object that Sine sends. Sine documents its outline and not
// its types, so a field of another type than expected counts as absent: it is
// still in the source.
type delivery struct {
	source []byte // the whole of it

	isEvent bool // it looks like what Sine sends at all
	hasPass bool

	event string
	date  string
	pass  visit.Pass
	// unreadAnswers is set when there are answers that pass does not hold.
	unreadAnswers bool
	status        string
	ids           [idCount]string
	wrapped       []string // values that may hold the same object once more

	maxDepth int
}

// Where Sine's own id of the visit or the pass may be, the best first. A bare
// "id" beside the event could be the event's or the integration's, and is not
// used.
const (
	idVisit      = iota // data.visitId
	idPass              // data.passId
	idNested            // data.pass.id
	idBare              // data.id
	idOuterVisit        // visitId
	idOuterPass         // passId
	idCount
)

// decode reads a body, or says why it cannot be read.
func decode(source []byte, maxDepth int) (delivery, visit.Reason) {
	// A text may end in half a surrogate pair, cut off by a form's limit:
	// that is JSON, though no UTF-8 can say it. The bytes must be UTF-8.
	if !utf8.Valid(source) || isWide(source) {
		return delivery{}, visit.ReasonNotUTF8
	}
	if tooDeep(source, maxDepth) {
		return delivery{}, visit.ReasonTooDeep
	}
	text := string(source)
	if inner := object(text, maxDepth); inner != "" {
		text = inner
	}
	d, err := readDelivery(text, maxDepth)
	if err != nil {
		return delivery{}, visit.ReasonNotJSON
	}
	for _, wrapped := range d.wrapped {
		if inner, err := readDelivery(wrapped, maxDepth); !d.hasPass && err == nil && inner.isEvent {
			d = inner
			break
		}
	}
	d.source = source
	return d, ""
}

// isWide reports whether the first characters take more than a byte each, as those
// of JSON in UTF-16 and UTF-32 do.
func isWide(body []byte) bool { return bytes.IndexByte(body[:min(4, len(body))], 0) >= 0 }

// deepest is how deep encoding/json reads, and with it those who get the message.
const deepest = 10_000

// tooDeep reports whether brackets are nested deeper than max or deepest, without
// parsing: it runs before the parser does.
func tooDeep(body []byte, max int) bool {
	max = min(max, deepest)
	depth := 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			i = endOfText(body, i+1)
		case '{', '[':
			if depth++; depth > max {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}

// endOfText returns where the quote is that ends the text that begins at start, or the
// length of the body. It looks at the backslashes before each quote, and so at each
// byte twice at most.
func endOfText(body []byte, start int) int {
	for at := start; ; at++ {
		quote := bytes.IndexByte(body[at:], '"')
		if quote < 0 {
			return len(body)
		}
		at += quote
		backslashes := 0
		for body[at-backslashes-1] == '\\' {
			backslashes++
		}
		if backslashes%2 == 0 {
			return at
		}
	}
}

// passID is Sine's own id of the visit or the pass, or empty.
func (d *delivery) passID() string {
	for _, id := range d.ids {
		if id != "" {
			return id
		}
	}
	return ""
}

// cause reads why a pass ended from its status, where Sine sends one.
func (d *delivery) cause() visit.Cause {
	switch s := Spelling(d.status); {
	case strings.Contains(s, "expired"):
		return visit.CauseExpired
	case s == "checkedout" || s == "signedout":
		return visit.CauseCheckedOut
	default:
		return visit.CauseUnknown
	}
}

// eventOfBeginning returns the event that the beginning of a body names, or the
// empty text: the name may come after what was read.
func eventOfBeginning(beginning []byte, maxDepth int) string {
	if tooDeep(beginning, maxDepth) {
		return ""
	}
	outer, inner := delivery{maxDepth: maxDepth}, delivery{maxDepth: maxDepth}
	in := &jsonReader{text: string(beginning)}
	// An error is sure to come: the end is missing.
	_ = in.eachField(func(name string) error {
		if name == "payload" || name == "body" {
			return in.eachField(func(name string) error { return inner.readField(in, name) })
		}
		return outer.readField(in, name)
	})
	if !outer.hasPass && inner.isEvent {
		return inner.event
	}
	return outer.event
}

// Sine's JSON is read field by field, in one pass: a field of an unexpected type
// is skipped without failing the rest, and numbers are never rounded.

// readDelivery reads one object. An error means that the whole is not JSON; any
// other JSON than an object is an empty delivery.
func readDelivery(body string, maxDepth int) (delivery, error) {
	d := delivery{maxDepth: maxDepth}
	in := &jsonReader{text: body}
	if err := in.eachField(func(name string) error { return d.readField(in, name) }); err != nil {
		return d, err
	}
	return d, in.end()
}

func (d *delivery) readField(in *jsonReader, name string) error {
	switch name {
	case "event":
		err := readText(in, &d.event)
		d.isEvent = d.isEvent || d.event != ""
		return err
	case "date":
		return readScalar(in, &d.date)
	case "data":
		return d.readPass(in)
	case "visitId":
		return readID(in, &d.ids[idOuterVisit])
	case "passId":
		return readID(in, &d.ids[idOuterPass])
	case "payload", "body":
		value, err := in.value()
		if err != nil {
			return err
		}
		if inner := object(value, d.maxDepth); inner != "" {
			d.wrapped = append(d.wrapped, inner)
		}
		return nil
	default:
		return in.skip()
	}
}

// readPass reads the pass, an object or the JSON text of one.
func (d *delivery) readPass(in *jsonReader) error {
	d.hasPass = in.peek() == '{'
	if in.peek() == '"' {
		value, err := in.value()
		if err != nil {
			return err
		}
		inner := object(value, d.maxDepth)
		if inner == "" {
			return nil
		}
		d.hasPass = true
		in = &jsonReader{text: inner}
	}
	d.isEvent = d.isEvent || d.hasPass
	return in.eachField(func(name string) error { return d.readPassField(in, name) })
}

func (d *delivery) readPassField(in *jsonReader, name string) error {
	p := &d.pass
	switch name {
	case "firstName":
		return readText(in, &p.Person.FirstName)
	case "lastName":
		return readText(in, &p.Person.LastName)
	case "email":
		return readScalar(in, &p.Person.Email)
	case "mobile":
		return readScalar(in, &p.Person.Mobile)
	case "photoURL":
		return readText(in, &p.Person.PhotoURL)
	case "company":
		return readText(in, &p.Company)
	case "passType":
		return readText(in, &p.VisitorType)
	case "status":
		return readText(in, &d.status)
	case "visitId":
		return readID(in, &d.ids[idVisit])
	case "passId":
		return readID(in, &d.ids[idPass])
	case "id":
		return readID(in, &d.ids[idBare])
	case "pass":
		return in.eachField(func(name string) error { return d.readNestedPassField(in, name) })
	case "host":
		if in.peek() == '{' {
			p.Host = &visit.Host{}
		}
		return in.eachField(func(name string) error { return d.readHostField(in, name) })
	case "formResponses":
		return in.eachField(func(name string) error { return d.readFormField(in, name) })
	default:
		return in.skip()
	}
}

func (d *delivery) readNestedPassField(in *jsonReader, name string) error {
	if name == "id" {
		return readID(in, &d.ids[idNested])
	}
	return in.skip()
}

func (d *delivery) readHostField(in *jsonReader, name string) error {
	switch name {
	case "firstName":
		return readText(in, &d.pass.Host.FirstName)
	case "lastName":
		return readText(in, &d.pass.Host.LastName)
	case "hostGroupName":
		return readText(in, &d.pass.Host.Group)
	default:
		return in.skip()
	}
}

func (d *delivery) readFormField(in *jsonReader, name string) error {
	if name != "responses" {
		return in.skip()
	}
	return in.eachElement(func() error { return d.readAnswer(in) })
}

func (d *delivery) readAnswer(in *jsonReader) error {
	answers := d.pass.FormAnswers
	if in.peek() == '{' {
		d.pass.FormAnswers = append(answers, visit.FormAnswer{})
	}
	if err := in.eachField(func(name string) error { return d.readAnswerField(in, name) }); err != nil {
		return err
	}
	// An answer that says nothing would be longer in our words than in
	// Sine's, and the largest message longer than was checked.
	if n := len(d.pass.FormAnswers); n == len(answers) || d.pass.FormAnswers[n-1] == (visit.FormAnswer{}) {
		d.pass.FormAnswers, d.unreadAnswers = answers, true
	}
	return nil
}

func (d *delivery) readAnswerField(in *jsonReader, name string) error {
	answer := &d.pass.FormAnswers[len(d.pass.FormAnswers)-1]
	switch name {
	case "label":
		return readText(in, &answer.Label)
	case "value":
		value, err := in.value()
		if err != nil || value == "null" {
			return err
		}
		answer.Value = content(value)
		return nil
	default:
		return in.skip()
	}
}

// maxTexts is how many times over an object may be written as a JSON text.
const maxTexts = 3

// byteOrderMark is that of UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// lenient reads what some program wrote, as long as its meaning is clear.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// object returns the object that a value is, or that it is the JSON text of:
// programs that build JSON out of JSON send the inner one as a text. It returns
// "" for anything else, and for a text that is nested deeper than maxDepth.
func object(value string, maxDepth int) string {
	for range maxTexts {
		if kindOf(value) != '"' || !isJSON([]byte(value)) {
			break
		}
		value = strings.TrimPrefix(content(strings.TrimSpace(value)), string(byteOrderMark))
		if tooDeep([]byte(value), maxDepth) || !isJSON([]byte(value)) {
			return ""
		}
	}
	if kindOf(value) != '{' {
		return ""
	}
	return value
}

// kindOf is the first byte of a value.
func kindOf(value string) byte { return (&jsonReader{text: value}).peek() }

// readText reads a text, and skips anything else.
func readText(in *jsonReader, into *string) error {
	if in.peek() != '"' {
		return in.skip()
	}
	return readScalar(in, into)
}

// readScalar reads a text's content, or a number or boolean as it is written,
// and skips null, objects and lists.
func readScalar(in *jsonReader, into *string) error {
	switch b := in.peek(); {
	case b == '"', b == 't', b == 'f', in.isNumber():
		value, err := in.value()
		if err == nil {
			*into = content(value)
		}
		return err
	default:
		return in.skip()
	}
}

// placeholders are what programs write where they have no id. Taken for one,
// they would make one visit of many.
var placeholders = []string{"0", "-1", "null", "undefined", "none", "00000000-0000-0000-0000-000000000000"}

// readID reads an id, text or number, and leaves a placeholder out.
func readID(in *jsonReader, into *string) error {
	if in.peek() != '"' && !in.isNumber() {
		return in.skip()
	}
	var id string
	err := readScalar(in, &id)
	if id = strings.TrimSpace(id); !slices.Contains(placeholders, strings.ToLower(id)) {
		// The id may outlive the exchange, and would keep the whole body.
		*into = strings.Clone(id)
	}
	return err
}
