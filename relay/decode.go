package relay

import (
	"bytes"
	"errors"
	"io"
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
	wrapped       []jsontext.Value // values that may hold the same object once more

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
	text := source
	if inner := object(source, maxDepth); inner != nil {
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

// tooDeep reports whether brackets are nested deeper than max, without parsing:
// it runs before the parser does.
func tooDeep(body []byte, max int) bool {
	depth, inText := 0, false
	for i := 0; i < len(body); i++ {
		switch b := body[i]; {
		case inText && b == '\\':
			i++
		case b == '"':
			inText = !inText
		case inText:
		case b == '{' || b == '[':
			if depth++; depth > max {
				return true
			}
		case b == '}' || b == ']':
			depth--
		}
	}
	return false
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
	in := jsontext.NewDecoder(bytes.NewBuffer(beginning), lenient...)
	// An error is sure to come: the end is missing.
	_ = eachField(in, func(in *jsontext.Decoder, name jsontext.Value) error {
		if s := string(name); s == `"payload"` || s == `"body"` {
			return eachField(in, inner.readField)
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
func readDelivery(body []byte, maxDepth int) (delivery, error) {
	d := delivery{maxDepth: maxDepth}
	in := jsontext.NewDecoder(bytes.NewBuffer(body), lenient...)
	if err := eachField(in, d.readField); err != nil {
		return d, err
	}
	if _, err := in.ReadToken(); !errors.Is(err, io.EOF) {
		return d, errors.New("something follows the object")
	}
	return d, nil
}

func (d *delivery) readField(in *jsontext.Decoder, name jsontext.Value) error {
	switch string(name) {
	case `"event"`:
		err := readText(in, &d.event)
		d.isEvent = d.isEvent || d.event != ""
		return err
	case `"date"`:
		return readScalar(in, &d.date)
	case `"data"`:
		return d.readPass(in)
	case `"visitId"`:
		return readID(in, &d.ids[idOuterVisit])
	case `"passId"`:
		return readID(in, &d.ids[idOuterPass])
	case `"payload"`, `"body"`:
		value, err := in.ReadValue()
		if inner := object(value, d.maxDepth); inner != nil {
			d.wrapped = append(d.wrapped, inner.Clone())
		}
		return err
	default:
		return in.SkipValue()
	}
}

// readPass reads the pass, an object or the JSON text of one.
func (d *delivery) readPass(in *jsontext.Decoder) error {
	d.hasPass = in.PeekKind() == '{'
	if in.PeekKind() == '"' {
		value, err := in.ReadValue()
		inner := object(value, d.maxDepth)
		if err != nil || inner == nil {
			return err
		}
		d.hasPass = true
		in = jsontext.NewDecoder(bytes.NewBuffer(inner), lenient...)
	}
	d.isEvent = d.isEvent || d.hasPass
	return eachField(in, d.readPassField)
}

func (d *delivery) readPassField(in *jsontext.Decoder, name jsontext.Value) error {
	p := &d.pass
	switch string(name) {
	case `"firstName"`:
		return readText(in, &p.Person.FirstName)
	case `"lastName"`:
		return readText(in, &p.Person.LastName)
	case `"email"`:
		return readScalar(in, &p.Person.Email)
	case `"mobile"`:
		return readScalar(in, &p.Person.Mobile)
	case `"photoURL"`:
		return readText(in, &p.Person.PhotoURL)
	case `"company"`:
		return readText(in, &p.Company)
	case `"passType"`:
		return readText(in, &p.VisitorType)
	case `"status"`:
		return readText(in, &d.status)
	case `"visitId"`:
		return readID(in, &d.ids[idVisit])
	case `"passId"`:
		return readID(in, &d.ids[idPass])
	case `"id"`:
		return readID(in, &d.ids[idBare])
	case `"pass"`:
		return eachField(in, d.readNestedPassField)
	case `"host"`:
		if in.PeekKind() == '{' {
			p.Host = &visit.Host{}
		}
		return eachField(in, d.readHostField)
	case `"formResponses"`:
		return eachField(in, d.readFormField)
	default:
		return in.SkipValue()
	}
}

func (d *delivery) readNestedPassField(in *jsontext.Decoder, name jsontext.Value) error {
	if string(name) == `"id"` {
		return readID(in, &d.ids[idNested])
	}
	return in.SkipValue()
}

func (d *delivery) readHostField(in *jsontext.Decoder, name jsontext.Value) error {
	switch string(name) {
	case `"firstName"`:
		return readText(in, &d.pass.Host.FirstName)
	case `"lastName"`:
		return readText(in, &d.pass.Host.LastName)
	case `"hostGroupName"`:
		return readText(in, &d.pass.Host.Group)
	default:
		return in.SkipValue()
	}
}

func (d *delivery) readFormField(in *jsontext.Decoder, name jsontext.Value) error {
	if string(name) != `"responses"` || in.PeekKind() != '[' {
		return in.SkipValue()
	}
	if _, err := in.ReadToken(); err != nil {
		return err
	}
	for in.PeekKind() != ']' {
		answers := d.pass.FormAnswers
		if in.PeekKind() == '{' {
			d.pass.FormAnswers = append(answers, visit.FormAnswer{})
		}
		if err := eachField(in, d.readAnswerField); err != nil {
			return err
		}
		// An answer that says nothing would be longer in our words than in
		// Sine's, and the largest message longer than was checked.
		if n := len(d.pass.FormAnswers); n == len(answers) || d.pass.FormAnswers[n-1] == (visit.FormAnswer{}) {
			d.pass.FormAnswers, d.unreadAnswers = answers, true
		}
	}
	_, err := in.ReadToken()
	return err
}

func (d *delivery) readAnswerField(in *jsontext.Decoder, name jsontext.Value) error {
	answer := &d.pass.FormAnswers[len(d.pass.FormAnswers)-1]
	switch string(name) {
	case `"label"`:
		return readText(in, &answer.Label)
	case `"value"`:
		value, err := in.ReadValue()
		if err != nil || value.Kind() == 'n' {
			return err
		}
		answer.Value = content(value)
		return nil
	default:
		return in.SkipValue()
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
// nil for anything else, and for a text that is nested deeper than maxDepth.
func object(value jsontext.Value, maxDepth int) jsontext.Value {
	for range maxTexts {
		if value.Kind() != '"' || !value.IsValid(lenient...) {
			break
		}
		value = inText(value)
		if tooDeep(value, maxDepth) || !value.IsValid(lenient...) {
			return nil
		}
	}
	if value.Kind() != '{' {
		return nil
	}
	return value
}

func inText(value jsontext.Value) jsontext.Value {
	text := content(bytes.TrimSpace(value))
	return bytes.TrimPrefix([]byte(text), byteOrderMark)
}

// eachField calls read for each field of an object, with the name in quotes, and
// without escapes that it need not have; read takes the value. Anything but an object is
// skipped.
func eachField(in *jsontext.Decoder, read func(in *jsontext.Decoder, name jsontext.Value) error) error {
	if in.PeekKind() != '{' {
		return in.SkipValue()
	}
	if _, err := in.ReadToken(); err != nil {
		return err
	}
	for in.PeekKind() != '}' {
		name, err := in.ReadValue()
		if err != nil {
			return err
		}
		if bytes.IndexByte(name, '\\') >= 0 {
			// A name that is not UTF-8 is an error, and not one of ours.
			name, _ = jsontext.AppendQuote(nil, content(name))
		}
		if err := read(in, name); err != nil {
			return err
		}
	}
	_, err := in.ReadToken()
	return err
}

// readText reads a text, and skips anything else.
func readText(in *jsontext.Decoder, into *string) error {
	if in.PeekKind() != '"' {
		return in.SkipValue()
	}
	return readScalar(in, into)
}

// readScalar reads a text's content, or a number or boolean as it is written,
// and skips null, objects and lists.
func readScalar(in *jsontext.Decoder, into *string) error {
	switch in.PeekKind() {
	case '"', '0', 't', 'f':
		value, err := in.ReadValue()
		if err == nil {
			*into = content(value)
		}
		return err
	default:
		return in.SkipValue()
	}
}

// placeholders are what programs write where they have no id. Taken for one,
// they would make one visit of many.
var placeholders = []string{"0", "-1", "null", "undefined", "none", "00000000-0000-0000-0000-000000000000"}

// readID reads an id, text or number, and leaves a placeholder out.
func readID(in *jsontext.Decoder, into *string) error {
	if kind := in.PeekKind(); kind != '"' && kind != '0' {
		return in.SkipValue()
	}
	var id string
	err := readScalar(in, &id)
	if id = strings.TrimSpace(id); !slices.Contains(placeholders, strings.ToLower(id)) {
		*into = id
	}
	return err
}

// content is what a text says, and anything else as it is written.
func content(value jsontext.Value) string {
	if value.Kind() != '"' {
		return string(value)
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1])
	}
	// Half a surrogate pair becomes the replacement character, and is an
	// error that changes nothing.
	text, _ := jsontext.AppendUnquote(nil, value)
	return string(text)
}
