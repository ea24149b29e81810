// Package shape tells what a webhook call looks like without what it says, so
// that one test visit settles what nobody outside Sine knows of the format.
//
// It promises that a [Shape] holds no value of the body but the event's name: of
// every other value it tells the type, a class from a closed set, and lengths.
// Key names are told where they read like a field's name; a question, an address
// or a number that serves as a key is masked like a value, and so are the keys
// beside it that Sine is not known to use. A plain word cannot be told from a
// field's name: where a program makes keys of surnames alone, they are shown.
//
// A shape is bounded, whatever the body, and the same for the same call. Keeping
// it, and for how long, is left to the caller.
package shape

import (
	"encoding/json"
	"net/http"
)

// What bounds a shape. A node is a place in the body, with all elements of a
// list as one.
const (
	maxEncoded = 64 << 10
	maxNodes   = 2000
	maxDepth   = 32
)

// Shape is what a call looks like. Its JSON is at most 64 KiB.
type Shape struct {
	// Headers are sorted by name.
	Headers []Header `json:"headers"`
	Body    Body     `json:"body"`
	// Fields are the places in the body, each before those within it, in the
	// order in which they first come. Of a body that is no JSON they are
	// those before the fault.
	Fields []Field `json:"fields"`
	Cut    Cut     `json:"cut,omitzero"`
}

// Header is what is told of one header.
type Header struct {
	// Name is in lower case, or "(masked)" for all whose names do not look
	// like one.
	Name  string `json:"name"`
	Count int    `json:"count"`
	// Lengths are those of the first values, in characters.
	Lengths []int `json:"lengths"`
	// Values are what those values say, in headers known to hold nothing
	// personal or secret, and as far as they keep to the header's own form.
	Values []string `json:"values,omitempty"`
}

// Body is what is told of the body as a whole.
type Body struct {
	Bytes int `json:"bytes"`
	// UTF8 is whether all of it is valid UTF-8.
	UTF8 bool `json:"utf8"`
	// BOM is whether it begins with UTF-8's byte order mark, which is set
	// aside for what follows.
	BOM bool `json:"bom,omitempty"`
	// JSON is whether it is one JSON value, nested at most 10,000 deep. It may
	// have duplicate keys, and texts that are not UTF-8.
	JSON bool `json:"json"`
	// StoppedAt is how many bytes were read of what is not JSON.
	StoppedAt int `json:"stoppedAt,omitempty"`
	// Depth counts the brackets around what is nested deepest.
	Depth int `json:"depth"`
	// DuplicateKeys counts the keys that their object already has.
	DuplicateKeys int `json:"duplicateKeys,omitempty"`
	// TrailingSpace is the white space at the end, in bytes.
	TrailingSpace int `json:"trailingSpace,omitempty"`
}

// Field is one place in the body, and what stood there.
type Field struct {
	// Path is "$" for the body itself, else the keys that lead there, with
	// dots between them. "[]" stands for all elements of a list, "{}" for all
	// values under masked keys. A key with a dot in it is quoted.
	Path string `json:"path"`
	// Keys are the forms of the keys masked as "{}", at most 32.
	Keys []Form `json:"keys,omitempty"`
	// Values are the forms of what stood there, at most 32.
	Values []Form `json:"values"`
	// More counts the values of further forms than are listed.
	More int `json:"more,omitempty"`
}

// Form is what values have in common that look alike.
type Form struct {
	// Type is that of JSON: "string", "number", "boolean", "null", "object"
	// or "array".
	Type string `json:"type"`
	// Class is what a text or number looks like. Of a text: "empty", "white
	// space", "boolean", "date", "epoch", "integer", "fraction", "uuid",
	// "hex", "phone", "url", "data uri", "e-mail", "base64", "json", "word"
	// (letters), "code" (no white space), "text" (anything else), or "name"
	// where Value is shown. Of a number: "integer", "fraction" or "epoch". Of
	// an object or array: empty, or "too deep" when it was not looked into.
	Class string `json:"class,omitempty"`
	// Format refines the class: a date's layout as in package time, an
	// epoch's unit, a URL's scheme, the kind of encoded data, a text's case.
	Format string `json:"format,omitempty"`
	// Value is the event's name.
	Value string `json:"value,omitempty"`
	Count int    `json:"count"`
	// Length is in characters, for a number in digits, for an object in keys,
	// for an array in elements. It is zero where class and format imply it,
	// and for a boolean text, whose length would tell a yes from a no.
	Length Range `json:"length,omitzero"`
	// Parts are the words of a text, or the segments of a URL's path.
	Parts Range `json:"parts,omitzero"`
}

// Range spans the smallest and the largest of some counts.
type Range struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// Cut counts what was left out because a shape is bounded.
type Cut struct {
	// Headers beyond the first 64.
	Headers int `json:"headers,omitempty"`
	// Values at places beyond the first 2,000.
	Values int `json:"values,omitempty"`
	// TooDeep counts objects and arrays nested deeper than 32.
	TooDeep int `json:"tooDeep,omitempty"`
	// Fields for which there was no room in 64 KiB.
	Fields int `json:"fields,omitempty"`
}

// Of describes a call by its header and its body, without a content encoding. It
// keeps neither.
func Of(header http.Header, body []byte) Shape {
	s := Shape{Fields: []Field{}}
	s.Headers, s.Cut.Headers = headers(header)
	r := read(body)
	s.Body, s.Cut.Values, s.Cut.TooDeep = r.body, r.noRoom, r.tooDeep
	r.root.maskTables()
	s.fill(r.root.list("", nil))
	return s
}

// fill takes as many fields as there is room for.
func (s *Shape) fill(fields []Field) {
	s.Cut.Fields = len(fields) // more than will be: its digits are counted
	room := maxEncoded - encodedSize(s)
	for _, f := range fields {
		if room -= encodedSize(f) + len(","); room < 0 {
			return
		}
		s.Fields = append(s.Fields, f)
		s.Cut.Fields--
	}
}

func encodedSize(v any) int {
	data, _ := json.Marshal(v) // texts and integers never fail
	return len(data)
}
