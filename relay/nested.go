package relay

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// maxTexts is how many times over an object may be written as a JSON text.
const maxTexts = 3

// byteOrderMark is that of UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// lenient reads what some program wrote, as long as it can be told what it says.
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
	said := content(bytes.TrimSpace(value))
	return bytes.TrimPrefix([]byte(said), byteOrderMark)
}
