// Package shape describes a webhook without its contents, so that one test visit
// shows which fields and formats Sine sends.
//
// It promises that a [Shape] contains no value of the body but the event's name. Of
// every other value it says the type, a rough size, how a URL or encoded data
// begins, and, for what has digits as a date has, the pattern. Keys are shown where
// they read like the name of a field. A question, an address or a number that serves
// as a key is masked like a value, and so are the keys beside it that Sine is not
// known to use. A plain word cannot be distinguished from a field's name: where a
// program makes keys of surnames alone, they are shown.
//
// A shape is bounded, whatever the body.
package shape

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// What bounds a shape.
const (
	maxBytes   = 32 << 10 // of headers and fields
	maxDepth   = 16
	maxForms   = 8  // of one field
	maxPattern = 40 // characters of a text that is shown as a pattern
	minDigits  = 6  // of such a text
)

// Shape is what a webhook looks like.
type Shape struct {
	// Headers are the names of the headers with the sizes of their values, such
	// as "x-sine-auth: up to 64 characters", in order. The values of those that
	// describe the body or the program that sent it are shown.
	Headers []string `json:"headers"`
	Bytes   int      `json:"bytes"`
	// JSON is whether the body is one JSON value. If not, it has no fields.
	JSON bool `json:"json"`
	// UTF8 is whether all of it is valid UTF-8.
	UTF8 bool `json:"utf8"`
	// Fields are the values by their paths, such as "data.date: string
	// 9999-99-99a99:99:99.999a", in order. "$" is the body itself, "[]" stands
	// for all elements of a list, and "{}" for all values under masked keys.
	Fields []string `json:"fields"`
	// Omitted counts the headers and fields for which there was no room.
	Omitted int `json:"omitted,omitempty"`
}

// Of describes a webhook by its header and its body, without a content encoding. It
// keeps neither.
func Of(header http.Header, body []byte) Shape {
	s := Shape{Bytes: len(body), UTF8: utf8.Valid(body)}
	room := maxBytes
	take := func(lines []string) []string {
		taken := []string{}
		for _, line := range lines {
			if room -= len(line); room < 0 {
				s.Omitted++
				continue
			}
			taken = append(taken, line)
		}
		return taken
	}
	s.Headers = take(describeHeaders(header))
	value, err := decode(body)
	s.JSON = err == nil
	all := fields{}
	if s.JSON {
		all.add("", value, 1)
	}
	s.Fields = take(all.lines())
	return s
}

func decode(body []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	return value, nil
}

// fields are the forms of the values at each path.
type fields map[string][]string

func (f fields) lines() (lines []string) {
	for _, path := range slices.Sorted(maps.Keys(f)) {
		lines = append(lines, path+": "+strings.Join(f[path], " or "))
	}
	return lines
}

func (f fields) add(path string, value any, depth int) {
	f.addForm(path, form(path, value))
	if depth > maxDepth {
		return
	}
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			f.add(path+"[]", element, depth+1)
		}
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		odd := slices.ContainsFunc(keys, func(key string) bool { return !isName(key) })
		for _, key := range keys {
			f.add(join(path, key, odd), v[key], depth+1)
		}
	}
}

func (f fields) addForm(path, form string) {
	if path == "" {
		path = "$"
	}
	if forms := f[path]; len(forms) < maxForms && !slices.Contains(forms, form) {
		f[path] = append(forms, form)
		slices.Sort(f[path])
	}
}

// join leads one key further. Where one key of an object is somebody's question or
// address, those beside it may be as well, though they are single words.
func join(path, key string, besideOdd bool) string {
	switch {
	case !isName(key), besideOdd && !known[key]:
		return path + "{}"
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

// known are the keys that Sine is known or expected to use.
var known = func() map[string]bool {
	all := map[string]bool{}
	for key := range strings.FieldsSeq(`event date data payload body id passId visitId pass site siteId zone notes status
		firstName lastName company email mobile photoURL passType entryType host hostGroupName
		formResponses responses label value user workflow name`) {
		all[key] = true
	}
	return all
}()

var name = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// isName reports whether a text reads like the name of a field, a header or an event.
// With more than a few digits it is rather a number or an id.
func isName(s string) bool {
	return len(s) < len("00000000-0000-0000-0000-000000000000") && name.MatchString(s) && digits(s) <= 4
}

// Text describes a text as the fields of a [Shape] are described.
func Text(text string) string { return form("", text) }

func digits(s string) int { return len(s) - len(strings.Map(withoutDigits, s)) }

func withoutDigits(r rune) rune {
	if r >= '0' && r <= '9' {
		return -1
	}
	return r
}

func form(path string, value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case json.Number:
		return "number" + pattern(v.String())
	case []any:
		return "list"
	case map[string]any:
		return "object"
	}
	text := value.(string)
	switch {
	case (path == "event" || path == "payload.event" || path == "body.event") && isName(text):
		return fmt.Sprintf("string %q", text)
	case strings.TrimSpace(text) == "":
		return "string, blank"
	}
	if shown := pattern(text); shown != "" {
		return "string" + shown
	}
	for _, start := range []string{"http://", "https://", "data:", "{", "["} {
		if strings.HasPrefix(text, start) {
			return "string, " + size(text) + ", begins with " + start
		}
	}
	return "string, " + size(text)
}

// pattern is empty or a text with "9" for each digit, "a" for each letter, and all
// else as it is. It shows how a date is written; a text with few digits has none.
func pattern(text string) string {
	if len(text) > maxPattern || digits(text) < minDigits {
		return ""
	}
	return " " + strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return '9'
		case r < utf8.RuneSelf && !unicode.IsLetter(r) && unicode.IsPrint(r):
			return r
		default:
			return 'a'
		}
	}, text)
}

// size is so rough that it does not distinguish a yes from a no.
func size(text string) string {
	n := utf8.RuneCountInString(text)
	for _, limit := range []int{8, 64, 512, 4096} {
		if n <= limit {
			return fmt.Sprintf("up to %d characters", limit)
		}
	}
	return "more than 4096 characters"
}

// shown are the headers whose values are shown, each as far as it has this form:
// those that describe the body and the program that sent it. What names a client, a
// person, a place or a secret is not among them, nor any that is not known here.
//
// They are made when a body is first captured: expressions that count take 100 KiB.
var shown = sync.OnceValue(func() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		"content-type":     regexp.MustCompile(`^[A-Za-z]{1,32}/[A-Za-z0-9.+-]{1,64}(?:; ?charset="?[A-Za-z0-9-]{1,16}"?)?`),
		"content-encoding": regexp.MustCompile(`^(?:gzip|deflate|br|zstd|compress|identity)(?:, ?(?:gzip|deflate|br|zstd|compress|identity)){0,3}`),
		"user-agent":       regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,31}/[0-9][0-9A-Za-z.+-]{0,23}`),
	}
})

func describeHeaders(header http.Header) (lines []string) {
	for written, values := range header {
		name := strings.ToLower(written)
		if !isName(name) {
			name = "(masked)"
		}
		for _, value := range values {
			described := size(value)
			if form := shown()[name]; form != nil && form.MatchString(value) {
				described = form.FindString(value)
			}
			lines = append(lines, name+": "+described)
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}
