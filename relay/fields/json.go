package fields

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonReader reads JSON value by value, in one pass and without copying: what it
// returns are parts of the text. It accepts what encoding/json accepts, duplicate names
// and half surrogate pairs too. It calls itself for each level of nesting, so the
// caller bounds the depth of the text.
type jsonReader struct {
	text string
	at   int
}

var errNotJSON = errors.New("not JSON")

// peek returns the first byte of what comes next, or 0 at the end.
func (r *jsonReader) peek() byte {
	for ; r.at < len(r.text); r.at++ {
		switch b := r.text[r.at]; b {
		case ' ', '\t', '\r', '\n':
		default:
			return b
		}
	}
	return 0
}

// accept reads b if it comes next.
func (r *jsonReader) accept(b byte) bool {
	if r.peek() != b {
		return false
	}
	r.at++
	return true
}

// end returns an error unless the text ends here.
func (r *jsonReader) end() error {
	if r.peek(); r.at < len(r.text) {
		return errNotJSON
	}
	return nil
}

// value returns the next value as it is written.
func (r *jsonReader) value() (string, error) {
	var err error
	kind, start := r.peek(), r.at
	if kind == '"' {
		err = r.skipText()
	} else {
		err = r.skip()
	}
	return r.text[start:r.at], err
}

// skip reads the next value.
func (r *jsonReader) skip() error {
	switch b := r.peek(); b {
	case '"':
		return r.skipText()
	case '{':
		return r.eachField(func(string) error { return r.skip() })
	case '[':
		return r.eachElement(r.skip)
	case 't':
		return r.skipWord("true")
	case 'f':
		return r.skipWord("false")
	case 'n':
		return r.skipWord("null")
	default:
		return r.skipNumber()
	}
}

// eachField calls read for each field of an object, with its name; read reads the value.
// Anything but an object is skipped.
func (r *jsonReader) eachField(read func(name string) error) error {
	if !r.accept('{') {
		return r.skip()
	}
	if r.accept('}') {
		return nil
	}
	for {
		name, err := r.name()
		if err != nil {
			return err
		}
		if err := read(name); err != nil {
			return err
		}
		if r.accept('}') {
			return nil
		}
		if !r.accept(',') {
			return errNotJSON
		}
	}
}

func (r *jsonReader) name() (string, error) {
	if r.peek() != '"' {
		return "", errNotJSON
	}
	// Nearly all names are short and have no escape.
	start := r.at + len(`"`)
	for end := start; end < len(r.text); end++ {
		if asItIs[r.text[end]] {
			continue
		}
		if r.text[end] != '"' {
			break
		}
		r.at = end + len(`"`)
		if !r.accept(':') {
			return "", errNotJSON
		}
		return r.text[start:end], nil
	}
	name, err := r.value()
	if err != nil || !r.accept(':') {
		return "", errNotJSON
	}
	return content(name), nil
}

// eachElement calls read for each element of a list; read reads it. Anything but a list
// is skipped.
func (r *jsonReader) eachElement(read func() error) error {
	if !r.accept('[') {
		return r.skip()
	}
	if r.accept(']') {
		return nil
	}
	for {
		if err := read(); err != nil {
			return err
		}
		if r.accept(']') {
			return nil
		}
		if !r.accept(',') {
			return errNotJSON
		}
	}
}

func (r *jsonReader) skipText() error {
	rest := r.text[r.at+1:]
	for i := plainLength(rest); i < len(rest); i++ {
		if asItIs[rest[i]] {
			continue
		}
		if rest[i] == '"' {
			r.at += len(`"`) + i + len(`"`)
			return nil
		}
		length := escapeLength(rest[i:])
		if length == 0 {
			return errNotJSON
		}
		i += length - 1
	}
	return errNotJSON
}

// plainLength is how many bytes at the beginning are surely as they are in a text, by
// eights.
func plainLength(text string) (n int) {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; n+8 <= len(text); n += 8 {
		w := uint64(text[n]) | uint64(text[n+1])<<8 | uint64(text[n+2])<<16 | uint64(text[n+3])<<24 |
			uint64(text[n+4])<<32 | uint64(text[n+5])<<40 | uint64(text[n+6])<<48 | uint64(text[n+7])<<56
		quote, backslash := w^('"'*ones), w^('\\'*ones)
		// The high bit of a byte is set where it is less than a space, or zero.
		if ((w-' '*ones)&^w|(quote-ones)&^quote|(backslash-ones)&^backslash)&high != 0 {
			break
		}
	}
	return n
}

// asItIs are the bytes that a text has without an escape.
var asItIs = func() (is [256]bool) {
	for b := range is {
		is[b] = b >= ' ' && b != '"' && b != '\\'
	}
	return is
}()

// escapeLength is how long the escape is with which a text begins, or 0 where it does not
// begin with a valid one.
func escapeLength(text string) int {
	switch {
	case text[0] != '\\' || len(text) < 2:
		return 0
	case strings.IndexByte(`"\/bfnrt`, text[1]) >= 0:
		return 2
	case text[1] != 'u' || len(text) < len(`\uXXXX`):
		return 0
	}
	for _, b := range []byte(text[2:6]) {
		if !isDigit(b) && (b|' ' < 'a' || b|' ' > 'f') {
			return 0
		}
	}
	return len(`\uXXXX`)
}

func (r *jsonReader) skipWord(word string) error {
	if !strings.HasPrefix(r.text[r.at:], word) {
		return errNotJSON
	}
	r.at += len(word)
	return nil
}

func (r *jsonReader) skipNumber() error {
	r.skipByte("-")
	if !r.skipByte("0") && !r.skipDigits() {
		return errNotJSON
	}
	if r.skipByte(".") && !r.skipDigits() {
		return errNotJSON
	}
	if r.skipByte("eE") {
		r.skipByte("+-")
		if !r.skipDigits() {
			return errNotJSON
		}
	}
	return nil
}

// skipByte reads one of these bytes if it comes next.
func (r *jsonReader) skipByte(anyOf string) bool {
	if r.at == len(r.text) || strings.IndexByte(anyOf, r.text[r.at]) < 0 {
		return false
	}
	r.at++
	return true
}

// skipDigits reports whether there was one.
func (r *jsonReader) skipDigits() bool {
	start := r.at
	for r.at < len(r.text) && isDigit(r.text[r.at]) {
		r.at++
	}
	return r.at > start
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// content is what a text says, and anything else as it is written.
func content(value string) string {
	if value == "" || value[0] != '"' {
		return value
	}
	if strings.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1]
	}
	// Half a surrogate pair becomes the replacement character, and is an
	// error that changes nothing.
	text, _ := jsontext.AppendUnquote(nil, value)
	return string(text)
}
