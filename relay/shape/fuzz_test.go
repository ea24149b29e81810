package shape

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

var (
	ownTypes   = set("string number boolean null object array")
	ownClasses = regexp.MustCompile(`^(?:|empty|white space|boolean|date|epoch|integer|fraction|uuid|hex|phone|e-mail|url|data uri|base64|json|word|code|text|name|too deep)$`)
	ownFormats = regexp.MustCompile(`^(?:|true or false|yes or no|seconds|milliseconds|with \+|without \+|lower case|upper case|mixed case|capitalised` +
		`|(?:https?|other scheme)(?: with a query)?|image/(?:jpeg|png|gif|webp|svg\+xml)|application/pdf|text/plain|jpeg|png|gif|webp|pdf|other kind)$`)
	ownLayouts = regexp.MustCompile(`^(?:2006-01-02(?:[T ]15:04(?::05)?(?:[.,]0{1,9})?(?: ?(?:Z|-07|-07:?00)| )?)?|2(.)1.2006 or 1.2.2006(?:, (?:15:04|3:04)(?::05)?(?: PM)?)?` +
		`|Mon, 02 Jan 2006 15:04:05 (?:MST|-0700)|Monday, 02-Jan-06 15:04:05 MST|Mon Jan _2 15:04:05 (?:MST )?2006|Mon Jan 02 2006 15:04:05 GMT-0700)$`)
	fieldName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)
	anyPath    = regexp.MustCompile(`"[^"]*"|[^."\[\]{}]+`)
	ownWriting = "headers name count lengths values body bytes utf8 true false bom json stoppedAt depth duplicateKeys trailingSpace fields path keys values more type class " +
		"format value length min max parts cut tooDeep header UTF-8 not JSON with a byte order mark no after of white space at the end character characters digit digits " +
		"key keys element elements word words path segments in further forms left out too deep value"
)

// Whatever a body holds, all that is told of it is in our own words, but for the
// names of its keys and its event; and it is bounded.
func FuzzOf(f *testing.F) {
	for _, file := range samples(f) {
		f.Add(readFile(f, file))
	}
	for _, body := range []string{
		marked, "\ufeff" + marked + " ", marked[:700], `["18/11/2026","Wed, 18 Nov 2026 21:42:07 GMT","18.11.2026 4:05 pm","2026-11-18 21:42 +1030"]`,
		`{"a":{"b c":{"d.e":[[1,2.5,1e9,-0]]}},"event":"e","payload":{"event":"f"},"event":"g"}`, `"https://a.example/b?c"`, `[{"x":"507f1f77bcf86cd799439011"},{"y":"+61 400 111 222"}]`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := Of(nil, body)
		names, texts := contents(body)
		checkWords(t, s, names)
		checkTexts(t, s, names, texts)
		if encoded, err := json.Marshal(s); err != nil || len(encoded) > 64<<10 || len(s.Text()) > 128<<10 {
			t.Fatalf("%d bytes of JSON, %d of text: %v", len(encoded), len(s.Text()), err)
		}
		if s.Body.JSON != readable(body) {
			t.Fatalf("JSON is %v", s.Body.JSON)
		}
	})
}

// contents are the keys and the texts of a body as far as it is JSON.
func contents(body []byte) (names map[string]bool, texts []string) {
	names = make(map[string]bool)
	in := lenient(body)
	for {
		kind, n := in.StackIndex(in.StackDepth())
		token, err := in.ReadToken()
		switch {
		case err != nil:
			return names, texts
		case token.Kind() != '"':
		case kind == '{' && n%2 == 0:
			names[token.String()] = true
		default:
			texts = append(texts, token.String())
		}
	}
}

func lenient(body []byte) *jsontext.Decoder {
	content := bytes.TrimPrefix(body, []byte("\ufeff"))
	return jsontext.NewDecoder(bytes.NewReader(content), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// readable is whether a body is one JSON value, with what the relay overlooks.
func readable(body []byte) bool {
	in := lenient(body)
	if in.SkipValue() != nil {
		return false
	}
	return len(bytes.Trim(bytes.TrimPrefix(body, []byte("\ufeff"))[in.InputOffset():], " \t\r\n")) == 0
}

// checkWords looks at every part of a shape by itself.
func checkWords(t *testing.T, s Shape, names map[string]bool) {
	t.Helper()
	for _, field := range s.Fields {
		for _, step := range anyPath.FindAllString(field.Path, -1) {
			name := strings.Trim(step, `"`)
			if step != "$" && (!names[name] || !fieldName.MatchString(name)) {
				t.Fatalf("path %q", field.Path)
			}
		}
		for _, form := range append(field.Keys, field.Values...) {
			checkForm(t, field, form, s.Body.Bytes)
		}
	}
}

func checkForm(t *testing.T, field Field, form Form, bytes int) {
	t.Helper()
	if !ownTypes[form.Type] || !ownClasses.MatchString(form.Class) || !ownFormats.MatchString(form.Format) && !ownLayouts.MatchString(form.Format) {
		t.Fatalf("%s: %+v", field.Path, form)
	}
	named := field.Path == "event" || field.Path == "payload.event" || field.Path == "body.event"
	if form.Value != "" && (!named || !fieldName.MatchString(form.Value)) {
		t.Fatalf("%s shows %s", field.Path, form.Value)
	}
	for _, n := range []int{form.Count, form.Length.Min, form.Length.Max, form.Parts.Min, form.Parts.Max} {
		if n < 0 || n > bytes {
			t.Fatalf("%s: %+v of %d bytes", field.Path, form, bytes)
		}
	}
}

// checkTexts looks for each text of the body, of four bytes or more, in a whole
// shape. It overlooks those whose words are all found in our own writing, in
// numbers, in keys, or in what checkWords looks at.
func checkTexts(t *testing.T, s Shape, names map[string]bool, texts []string) {
	t.Helper()
	told := ownWriting
	for name := range names {
		told += " " + name
	}
	for _, field := range s.Fields {
		for _, form := range append(field.Keys, field.Values...) {
			told += " " + form.Type + " " + form.Class + " " + form.Format + " " + form.Value
		}
	}
	shown := traces(t, s)
	for _, text := range texts {
		if len(text) >= 4 && foreign(text, told) && strings.Contains(shown, text) {
			t.Fatalf("%q is shown in\n%s", text, shown)
		}
	}
}

var ownSigns = regexp.MustCompile(`[\p{P}\p{S}\p{Z}\s0-9]+`)

func foreign(text, told string) bool {
	for _, word := range ownSigns.Split(text, -1) {
		if !strings.Contains(told, word) {
			return true
		}
	}
	return false
}

// Headers of any name and value.
func FuzzHeaders(f *testing.F) {
	for name, values := range markedHeader {
		f.Add(name, values[0])
	}
	f.Add("User-Agent", "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)")
	f.Fuzz(func(t *testing.T, name, value string) {
		s := Of(http.Header{name: {value}}, nil)
		h := s.Headers[0]
		if h.Name != "(masked)" && (h.Name != strings.ToLower(name) || !fieldName.MatchString(h.Name)) {
			t.Fatalf("name %q", h.Name)
		}
		for _, told := range h.Values {
			if telling[h.Name] == nil || len(told) > 1024 || strings.ContainsAny(told, "@()'\n") {
				t.Fatalf("%s: %s", h.Name, told)
			}
		}
	})
}
