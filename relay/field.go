package relay

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

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
			// A name that is no UTF-8 is an error, and none that is known.
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
