package visit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// reply is what could be read of a decider's reply.
type reply struct {
	decision Decision // but for its verdict
	verdicts int      // how often there is one
	rejects  bool     // one of them is a rejection
	seen     map[string]bool
	err      error // the first
}

func (r *reply) note(err error) {
	if r.err == nil {
		r.err = err
	}
}

// readReply reads field by field and continues after an error as far as possible: a
// rejection may follow.
func readReply(data []byte) *reply {
	r := &reply{seen: map[string]bool{}}
	if len(data) > MaxDecisionSize {
		r.note(fmt.Errorf("must be at most %d bytes, got %d", MaxDecisionSize, len(data)))
	}
	if !utf8.Valid(data) {
		r.note(errors.New("not valid UTF-8"))
	}
	r.note(eachField(data, r.field))
	return r
}

var errNotObject = errors.New("not a JSON object")

// eachField calls read for each field of an object until there is no more JSON.
func eachField(data []byte, read func(name string, value json.RawMessage)) error {
	in := json.NewDecoder(bytes.NewReader(data))
	if open, err := in.Token(); err != nil || open != json.Delim('{') {
		return errNotObject
	}
	for in.More() {
		name, err := in.Token()
		var value json.RawMessage
		if err != nil || in.Decode(&value) != nil {
			return errNotObject
		}
		read(name.(string), value)
	}
	if _, err := in.Token(); err != nil {
		return errNotObject
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return errNotObject
	}
	return nil
}

// field reads one field. Its name is matched without regard to case, as encoding/json
// does; unknown fields are left to later versions.
func (r *reply) field(name string, value json.RawMessage) {
	known := ""
	for _, k := range []string{"decision", "visitorText", "adminNote", "decider", "version", "pass"} {
		if strings.EqualFold(name, k) {
			known = k
		}
	}
	if known == "" {
		return
	}
	// Readers differ in which of two they take.
	if r.seen[known] {
		r.note(fmt.Errorf("the field %q is duplicated", known))
	}
	r.seen[known] = true
	switch known {
	case "decision":
		r.verdict(value)
	case "pass":
		r.pass(value)
	default:
		r.text(known, value)
	}
}

func (r *reply) verdict(value json.RawMessage) {
	var v Verdict
	if json.Unmarshal(value, &v) != nil {
		r.note(errWrongType("decision"))
		return
	}
	switch {
	case v == Accept:
		r.verdicts++
	case strings.EqualFold(strings.TrimSpace(string(v)), string(Reject)): // that much is certain
		r.verdicts++
		r.rejects = true
	case v == "": // null, too
	default:
		r.note(fmt.Errorf(`the field "decision" must be %q or %q`, Accept, Reject))
	}
}

func (r *reply) text(name string, value json.RawMessage) {
	var text string
	if json.Unmarshal(value, &text) != nil {
		r.note(errWrongType(name))
		return
	}
	if text = CleanText(text); IsBlank(text) {
		text = ""
	}
	if len(text) > maxDecisionText {
		r.note(fmt.Errorf("the field %q must be at most %d bytes, got %d", name, maxDecisionText, len(text)))
		text = ""
	}
	d := &r.decision
	*map[string]*string{"visitorText": &d.VisitorText, "adminNote": &d.AdminNote, "decider": &d.Decider, "version": &d.Version}[name] = text
}

func errWrongType(field string) error {
	return fmt.Errorf("the field %q has the wrong JSON type", field)
}

// pass reads the fields for the response to Sine. Names in it are the decider's: no
// error quotes them.
func (r *reply) pass(value json.RawMessage) {
	in := json.NewDecoder(bytes.NewReader(value))
	in.UseNumber() // a number is passed on as it is written
	read, err := passValue(in, maxPassDepth+1)
	fields, isObject := read.(map[string]any)
	switch {
	case err != nil:
		r.note(fmt.Errorf(`the field "pass" %w`, err))
		return
	case read == nil:
		return
	case !isObject:
		r.note(errWrongType("pass"))
		return
	}
	r.decision.Pass = make(map[string]json.RawMessage, len(fields))
	for name, v := range fields {
		encoded, err := json.Marshal(v)
		if err != nil {
			panic(fmt.Sprintf("encode what was decoded: %v", err))
		}
		r.decision.Pass[name] = encoded
	}
}

func passValue(in *json.Decoder, depth int) (any, error) {
	token, err := in.Token()
	if err != nil {
		return nil, errNotObject
	}
	switch t := token.(type) {
	case json.Delim:
		if depth == 0 {
			return nil, fmt.Errorf("must not be nested deeper than %d", maxPassDepth)
		}
		if t == '{' {
			return passObject(in, depth-1)
		}
		return passList(in, depth-1)
	case json.Number:
		if _, err := t.Float64(); err != nil {
			return nil, errors.New("contains a number that is out of range")
		}
	case string:
		return CleanText(t), nil
	}
	return token, nil
}

func passObject(in *json.Decoder, depth int) (any, error) {
	out := map[string]any{}
	for in.More() {
		token, err := in.Token()
		if err != nil {
			return nil, errNotObject
		}
		name := token.(string)
		if err := checkPassName(out, name); err != nil {
			return nil, err
		}
		if out[name], err = passValue(in, depth); err != nil {
			return nil, err
		}
	}
	_, err := in.Token()
	return out, err
}

func passList(in *json.Decoder, depth int) (any, error) {
	out := []any{}
	for in.More() {
		v, err := passValue(in, depth)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	_, err := in.Token()
	return out, err
}

// checkPassName checks a name that is about to be added to an object.
func checkPassName(object map[string]any, name string) error {
	switch {
	case name == "" || len(name) > maxPassName:
		return fmt.Errorf("contains a name that is empty or longer than %d bytes", maxPassName)
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }):
		return errors.New("contains a name with a non-printable character")
	case len(object) == maxPassFields:
		return fmt.Errorf("contains an object with more than %d fields", maxPassFields)
	}
	for other := range object {
		if strings.EqualFold(other, name) {
			return errors.New("contains an object with a duplicate name, without regard to case")
		}
	}
	return nil
}
