// Package schematest judges messages by JSON Schemas, for tests. The validator is not
// that of the library with which the schemas are made.
package schematest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const suffix = ".schema.json"

// Schemas are those of a folder.
type Schemas struct{ byName map[string]*jsonschema.Schema }

// Compile reads the files that are named *.schema.json. Each must be a valid schema, and
// what it refers to must be among them.
func Compile(files fs.FS) (*Schemas, error) {
	names, err := fs.Glob(files, "*"+suffix)
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("there are no schemas: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	ids := map[string]string{}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		object, _ := doc.(map[string]any)
		id, _ := object["$id"].(string)
		if err := c.AddResource(id, doc); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		ids[strings.TrimSuffix(name, suffix)] = id
	}
	s := &Schemas{map[string]*jsonschema.Schema{}}
	for name, id := range ids {
		if s.byName[name], err = c.Compile(id); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, nil
}

// Has reports whether there is a schema of a message's body or headers.
func (s *Schemas) Has(name string) bool {
	return s.byName[name] != nil || s.byName[name+"-headers"] != nil
}

// Validate returns why JSON is not as the schema of this name says, or nil.
func (s *Schemas) Validate(name string, data []byte) error {
	schema := s.byName[name]
	if schema == nil {
		return fmt.Errorf("there is no schema %q", name)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return schema.Validate(doc)
}

// ValidateHeaders is Validate for the headers of a NATS message. Each must have one
// value.
func (s *Schemas) ValidateHeaders(name string, headers map[string][]string) error {
	one := map[string]string{}
	for header, values := range headers {
		if len(values) != 1 {
			return fmt.Errorf("the header %s has %d values", header, len(values))
		}
		one[header] = values[0]
	}
	data, err := json.Marshal(one)
	if err != nil {
		return err
	}
	return s.Validate(name, data)
}

// ValidateMessage is Validate and ValidateHeaders for a message, as far as there is a
// schema of its body and one of its headers.
func (s *Schemas) ValidateMessage(name string, headers map[string][]string, data []byte) error {
	var problems []error
	if s.byName[name] != nil {
		problems = append(problems, s.Validate(name, data))
	}
	if s.byName[name+"-headers"] != nil {
		problems = append(problems, s.ValidateHeaders(name+"-headers", headers))
	}
	if !s.Has(name) {
		return fmt.Errorf("there is no schema of %q", name)
	}
	return errors.Join(problems...)
}
