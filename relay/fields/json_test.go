package fields

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// readWithLibrary returns the fields of an object, or the value that a text is instead,
// as the library reads it.
func readWithLibrary(text []byte) (fields []string, err error) {
	in := jsontext.NewDecoder(bytes.NewBuffer(text), lenient...)
	if in.PeekKind() != '{' {
		err = in.SkipValue()
	} else {
		fields, err = readObjectWithLibrary(in)
	}
	if err != nil {
		return nil, err
	}
	if _, err := in.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errNotJSON
	}
	return fields, nil
}

func readObjectWithLibrary(in *jsontext.Decoder) (fields []string, err error) {
	if _, err := in.ReadToken(); err != nil {
		return nil, err
	}
	for in.PeekKind() != '}' {
		name, err := in.ReadValue()
		if err != nil {
			return nil, err
		}
		unquoted, _ := jsontext.AppendUnquote(nil, name)
		value, err := in.ReadValue()
		if err != nil {
			return nil, err
		}
		fields = append(fields, string(unquoted), string(value))
	}
	_, err = in.ReadToken()
	return fields, err
}

func readByHand(text []byte) (fields []string, err error) {
	in := &jsonReader{text: string(text)}
	err = in.eachField(func(name string) error {
		value, err := in.value()
		fields = append(fields, string([]rune(name)), value) // the library replaces what is not UTF-8
		return err
	})
	if err == nil {
		err = in.end()
	}
	if err != nil {
		return nil, err
	}
	return fields, nil
}

func compareReaders(t *testing.T, text []byte) {
	t.Helper()
	want, wantErr := readWithLibrary(text)
	got, err := readByHand(text)
	if (err == nil) != (wantErr == nil) || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q was read as %q, %v; the library reads %q, %v", text, got, err, want, wantErr)
	}
	if (err == nil) != json.Valid(text) {
		t.Errorf("%q: %v, but encoding/json says valid = %v", text, err, json.Valid(text))
	}
}

// oddJSON is what mutations are made of.
var oddJSON = []string{
	`"`, `\`, `\u`, `\ud83d`, `\udE00`, `\"`, `\\`, `\/`, `\x`, "\n", "\x00", "\x1f", "\x7f", "ü", "\xff", "\ufeff", "\u2028", "{", "}", "[", "]", ":", ",", " ", "\t\r\n",
	"0", "01", "-", "-0", "1e5", "1E+", "1.", ".5", "1.5e-7", "true", "tru", "null", "nulll", "false", "NaN", `{"a":1}`, `[1,2]`, `"text"`, `"a":`, `,"b":2`, "//",
}

func TestJSONReader_ReadsWhatTheLibraryReads(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	bodies := append(samples(t), []byte(`{}`), []byte(` [ ] `), []byte(`{"a":{"b":[{"c":"\u00e4\n"}]},"":0}`))
	for range 200_000 {
		body := bytes.Clone(bodies[random.IntN(len(bodies))])
		for range random.IntN(4) {
			at := random.IntN(len(body) + 1)
			odd := oddJSON[random.IntN(len(oddJSON))]
			end := min(len(body), at+random.IntN(2)*random.IntN(len(odd)+1))
			body = append(body[:at:at], append([]byte(odd), body[end:]...)...)
		}
		if random.IntN(20) == 0 {
			body = body[:random.IntN(len(body)+1)]
		}
		compareReaders(t, body)
		if t.Failed() {
			return
		}
	}
}

// Each short text of these characters is read: every state meets every character.
func TestJSONReader_ReadsEveryShortText(t *testing.T) {
	alphabet := `{}[]:,"\u0a1-+.eEtruln `
	var extend func(text []byte, left int)
	extend = func(text []byte, left int) {
		compareReaders(t, text)
		if left == 0 || t.Failed() {
			return
		}
		for i := range len(alphabet) {
			extend(append(text, alphabet[i]), left-1)
		}
	}
	extend(nil, 3)
	for _, start := range []string{`{"a":`, `["\u`, `{"\u0`, `[-`, `[1.`, `[1e`, `{"a":1`, `[0`} {
		extend([]byte(start), 3)
	}
}

func FuzzJSONReader(f *testing.F) {
	for _, body := range samples(f) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !tooDeep(text, 1000) {
			compareReaders(t, text)
		}
	})
}

// A search for an escape that began anew after each backslash would be quadratic.
func TestDecode_TakesTimeInProportionToTheBody(t *testing.T) {
	for name, repeated := range map[string]string{
		"backslashes": `\\`, "quotes": `\"`, "escapes": `\u00e4`, "odd backslashes": `\\\"`, "empty texts": `","`, "answers": `"},{"value":"`, "fields": `","date":"`,
	} {
		t.Run(name, func(t *testing.T) {
			took := func(length int) time.Duration {
				body := []byte(`{"event":"signin_after","data":{"formResponses":{"responses":[{"value":"` + strings.Repeat(repeated, length/len(repeated)) + `"}]}}}`)
				fastest := time.Hour
				for range 5 {
					start := time.Now()
					Default.Read(body, 32)
					fastest = min(fastest, time.Since(start))
				}
				return fastest
			}
			// Sixteen times the length: quadratic would be 256 times the time.
			if short, long := took(16<<10), took(256<<10); long > 64*short+10*time.Millisecond {
				t.Errorf("16 KB take %s, 256 KB %s", short, long)
			}
		})
	}
}
