package relay

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sine-relay/sine-relay/visit"
)

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
