package main

import (
	"bytes"
	"encoding/json"
	"slices"
)

// object is a JSON object whose fields stay in their order.
type object []field

type field struct {
	name  string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, _ := json.Marshal(f.name) // a text can be encoded
		value, err := marshal(f.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// marshal is as json.Marshal, and leaves what HTML interprets as it is.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// mustMarshal is for schemas, which can be encoded.
func mustMarshal(v any) []byte {
	data, err := marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

func indented(v any) ([]byte, error) {
	data, err := marshal(v)
	if err != nil {
		return nil, err
	}
	if data, err = reordered(data); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		return nil, err
	}
	return slices.Concat(b.Bytes(), []byte("\n")), nil
}

// What is first in an object for people, and what is last. Between them fields stay in
// their order.
var (
	firstFields = []string{"$schema", "$id", "$comment", "title", "description"}
	lastFields  = []string{"$defs", "examples"}
)

// reordered puts the fields of every object into the order for people.
func reordered(data []byte) ([]byte, error) {
	in := json.NewDecoder(bytes.NewReader(data))
	in.UseNumber()
	v, err := reorder(in)
	if err != nil {
		return nil, err
	}
	return marshal(v)
}

func reorder(in *json.Decoder) (any, error) {
	token, err := in.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for in.More() {
			v, err := reorder(in)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = in.Token()
		return list, err
	case json.Delim('{'):
		o := object{}
		for in.More() {
			name, err := in.Token()
			if err != nil {
				return nil, err
			}
			v, err := reorder(in)
			if err != nil {
				return nil, err
			}
			o = append(o, field{name.(string), v})
		}
		slices.SortStableFunc(o, func(a, b field) int { return placeOf(a.name) - placeOf(b.name) })
		_, err = in.Token()
		return o, err
	default:
		return token, nil
	}
}

// placeOf is negative for what is first, positive for what is last.
func placeOf(name string) int {
	if i := slices.Index(firstFields, name); i >= 0 {
		return i - len(firstFields)
	}
	return slices.Index(lastFields, name) + 1
}
