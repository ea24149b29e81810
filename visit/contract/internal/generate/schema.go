package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/sine-relay/sine-relay/visit"
)

const draft = "https://json-schema.org/draft/2020-12/schema"

// schemaType is a type of package visit that has a schema.
type schemaType struct {
	Name string // of the file
	Type reflect.Type
	// Closed is set for what others write: an enumerated value that the relay does not
	// know is refused. In what the relay writes a later version may have more of them.
	Closed bool
	// Title is the type's name by default.
	Title string
}

var schemaTypes = []schemaType{
	{Name: "check-in-request", Type: reflect.TypeFor[visit.CheckInRequest]()},
	{Name: "decision", Type: reflect.TypeFor[visit.Decision](), Closed: true},
	{Name: "event", Type: reflect.TypeFor[visit.Event]()},
	{Name: "decision-record", Type: reflect.TypeFor[visit.Record](), Title: "DecisionRecord"},
	{Name: "order", Type: reflect.TypeFor[visit.Order](), Closed: true},
	{Name: "lift", Type: reflect.TypeFor[visit.Lift](), Closed: true},
	{Name: "audit", Type: reflect.TypeFor[visit.Audit]()},
}

func (t schemaType) title() string { return cmp.Or(t.Title, t.Type.Name()) }

const (
	openText = "Open: fields may be added within v1, and a reader ignores those that it does not know."
	openEnum = "A value that a later version within v1 adds."
)

// builder makes the schemas of one file.
type builder struct {
	*source
	closed bool
	defs   map[string]*jsonschema.Schema
	known  map[reflect.Type]*jsonschema.Schema
}

// schema returns the schema of a type with everything that it needs.
func (src *source) schema(t schemaType, examples []example) (*jsonschema.Schema, error) {
	b := &builder{source: src, closed: t.Closed, defs: map[string]*jsonschema.Schema{}, known: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[time.Time]():       {Type: "string", Format: "date-time"},
		reflect.TypeFor[json.RawMessage](): {},
	}}
	s, err := b.object(t.Type)
	if err != nil {
		return nil, err
	}
	s.Schema, s.ID, s.Title = draft, visit.SchemaRoot+t.Name+".schema.json", t.title()
	s.Comment = generated
	s.Description += "\n\n" + openText
	for _, e := range examples {
		s.Examples = append(s.Examples, e.Payload)
	}
	// An enumeration of which a field has a part only may be used by no other.
	maps.DeleteFunc(b.defs, func(name string, _ *jsonschema.Schema) bool {
		used := fmt.Sprintf("%q", "#/$defs/"+name)
		return !bytes.Contains(mustMarshal(s), []byte(used)) && !bytes.Contains(mustMarshal(b.defs), []byte(used))
	})
	if len(b.defs) > 0 {
		s.Defs = b.defs
	}
	return s, nil
}

// object is the schema of a struct. Those that it has in it become definitions.
func (b *builder) object(t reflect.Type) (*jsonschema.Schema, error) {
	var fields []reflect.StructField
	scope := []string{t.Name()}
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous {
			scope = append(scope, f.Type.Name())
			continue
		}
		fields = append(fields, f)
		if err := b.define(f.Type); err != nil {
			return nil, err
		}
	}
	s, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: b.known})
	if err != nil {
		return nil, err
	}
	s.AdditionalProperties = &jsonschema.Schema{}
	if s.Description = b.describe(b.docs[t.Name()], scope...); s.Description == "" {
		return nil, fmt.Errorf("visit.%s has no comment", t.Name())
	}
	for _, f := range fields {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		owner := t
		for _, i := range f.Index[:len(f.Index)-1] {
			owner = owner.Field(i).Type
		}
		if err := b.field(s.Properties[name], owner.Name(), f.Name); err != nil {
			return nil, err
		}
	}
	if more := whole[t.Name()]; more != nil {
		more(s)
	}
	return s, nil
}

// field completes the schema of one.
func (b *builder) field(s *jsonschema.Schema, of, name string) error {
	s.Description = b.describe(b.docs[of+"."+name], of)
	if s.Description == "" {
		return fmt.Errorf("visit.%s.%s has no comment", of, name)
	}
	// What is absent is left out, and never null.
	s.Types = slices.DeleteFunc(s.Types, func(t string) bool { return t == "null" })
	if len(s.Types) == 1 {
		s.Type = s.Types[0]
	}
	s.Types = nil
	key := of + "." + name
	if constrain := constraints[key]; constrain != nil {
		constrain(s)
	}
	if constants := values[key]; constants != nil {
		s.Ref = ""
		s.AnyOf = b.enumeration(constants).AnyOf
	}
	return nil
}

// define makes a definition of a named struct or an enumeration, and of what is in it.
func (b *builder) define(t reflect.Type) error {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && t.Name() == "" {
		t = t.Elem()
	}
	if b.known[t] != nil || t.PkgPath() != reflect.TypeFor[visit.Event]().PkgPath() {
		return nil
	}
	var (
		s   *jsonschema.Schema
		err error
	)
	switch t.Kind() {
	case reflect.Struct:
		s, err = b.object(t)
	case reflect.String:
		s = b.enumeration(b.enums[t.Name()])
		s.Description = strings.TrimSpace(b.describe(b.docs[t.Name()]) + "\n\n" + b.list(b.enums[t.Name()]))
	default:
		err = fmt.Errorf("visit.%s is neither a struct nor a text", t.Name())
	}
	if err != nil {
		return err
	}
	s.Title = t.Name()
	b.defs[t.Name()] = s
	b.known[t] = &jsonschema.Schema{Ref: "#/$defs/" + t.Name()}
	return nil
}

// enumeration has the values of constants, and unless it is closed any other.
func (b *builder) enumeration(constants []string) *jsonschema.Schema {
	known := &jsonschema.Schema{Type: "string"}
	for _, c := range constants {
		known.Enum = append(known.Enum, b.values[c])
	}
	if b.closed {
		return known
	}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{known, {Type: "string", Description: openEnum}}}
}

// list says what each value means.
func (b *builder) list(constants []string) string {
	var lines []string
	said := ""
	for _, c := range constants {
		if doc := b.docs[c]; doc != "" && doc != said {
			lines = append(lines, "- "+b.describe(doc))
			said = doc
		}
	}
	return strings.Join(lines, "\n")
}
