package fields

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sine-relay/sine-relay/visit"
)

// Read reads a body, or says why it cannot be read. Nothing in it may be nested deeper
// than maxDepth.
func (f *Fields) Read(source []byte, maxDepth int) (*Body, visit.Reason) {
	text, reason := textOf(source, maxDepth)
	if reason != "" {
		return nil, reason
	}
	r := f.reading(text, maxDepth)
	if r.all(text) != nil {
		return nil, visit.ReasonNotJSON
	}
	r.Source = source
	return r.Body, ""
}

// textOf is the JSON of a body: that which a text holds, where the body is one.
func textOf(source []byte, maxDepth int) (string, visit.Reason) {
	// A text may end in half a surrogate pair, cut off by a form's limit:
	// that is JSON, though no UTF-8 can say it. The bytes must be UTF-8.
	if !utf8.Valid(source) || isWide(source) {
		return "", visit.ReasonNotUTF8
	}
	if tooDeep(source, maxDepth) {
		return "", visit.ReasonTooDeep
	}
	text := string(source)
	if inner := container(text, maxDepth); inner != "" {
		text = inner
	}
	return text, ""
}

// isWide reports whether the first characters take more than a byte each, as those
// of JSON in UTF-16 and UTF-32 do.
func isWide(body []byte) bool { return bytes.IndexByte(body[:min(4, len(body))], 0) >= 0 }

// EventOfBeginning returns the event that the beginning of a body names, or the
// empty text: the name may come after what was read.
func (f *Fields) EventOfBeginning(beginning []byte, maxDepth int) string {
	if tooDeep(beginning, maxDepth) {
		return ""
	}
	text := string(beginning)
	outer := f.reading(text, maxDepth)
	// An error is sure to come: the end is missing.
	_ = outer.value(f.root, &jsonReader{text: text})
	if outer.hasData {
		return outer.Event
	}
	inner := f.reading("", maxDepth)
	for _, w := range outer.wrapped {
		if inner.readWrapped(w, false); inner.Event != "" {
			return inner.Event
		}
	}
	return outer.Event
}

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

// maxTexts is how many times over an object may be written as a JSON text.
const maxTexts = 3

// ByteOrderMark is that of UTF-8.
var ByteOrderMark = []byte("\xef\xbb\xbf")

// lenient reads what some program wrote, as long as its meaning is clear.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// IsJSON reports whether a body is one JSON value, by the rules by which it is read.
func IsJSON(body []byte) bool {
	return jsontext.Value(bytes.TrimPrefix(body, ByteOrderMark)).IsValid(lenient...)
}

// container returns the object or list that a value is, or that it is the JSON text of:
// programs that build JSON out of JSON send the inner one as a text. It returns
// "" for anything else, and for a text that is nested deeper than maxDepth.
func container(value string, maxDepth int) string {
	if isPlainText(value) {
		return ""
	}
	for range maxTexts {
		if kindOf(value) != '"' || !IsJSON([]byte(value)) {
			break
		}
		value = strings.TrimPrefix(content(strings.TrimSpace(value)), string(ByteOrderMark))
		if tooDeep([]byte(value), maxDepth) || !IsJSON([]byte(value)) {
			return ""
		}
	}
	if kind := kindOf(value); kind != '{' && kind != '[' {
		return ""
	}
	return value
}

// isPlainText reports whether a value is a text that surely holds no JSON, by its first
// character: nearly all texts are such.
func isPlainText(value string) bool {
	if len(value) < len(`"x`) || value[0] != '"' {
		return false
	}
	first := value[1]
	return first > ' ' && first < 0x80 && strings.IndexByte(`{[\"`, first) < 0
}

// kindOf is the first byte of a value.
func kindOf(value string) byte { return (&jsonReader{text: value}).peek() }
