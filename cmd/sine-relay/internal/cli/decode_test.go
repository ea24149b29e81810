package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// fieldsFile writes an integrations file, and returns the environment that names it.
func fieldsFile(t *testing.T, content string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "integrations.yaml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"SINE_RELAY_INTEGRATIONS_FILE=" + file}
}

const lobbyFile = `
integrations:
- name: lobby
  site: hq
  expects: [person, company]
  fields:
    person.name: ["{/data/who/first} {/data/who/last}"]
    visit: [/data/signIn]
    company: [/data/org]
`

// someDecoded lacks the company, has keys that are values, and answers of two shapes.
func someDecoded(t *testing.T) relay.Decoded {
	t.Helper()
	settings, err := config.LoadOffline(fieldsFile(t, lobbyFile))
	if err != nil {
		t.Fatal(err)
	}
	reader, err := relay.NewReader(settings.Integrations, server.Limits(settings))
	if err != nil {
		t.Fatal(err)
	}
	d, err := reader.Decode("lobby", "", []byte(`{"event":"signout_after","date":"2026-11-18T21:42:31","data":{"who":{"first":"Ada","last":"Lovelace"},`+
		`"company":"Acme","status":"Left area","+61 400 000 000":true,"+61 400 000 001":true,"answers":[["Why?","Because"],7,{"q":"x","value":"y"}]}}`), noon, visit.Subjects{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func decodeWith(t *testing.T, environ []string, stdin string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(t.Context(), Process{Args: append([]string{"decode"}, args...), Environ: environ, Stdin: strings.NewReader(stdin), Stdout: &o, Stderr: &e})
	return code, o.String(), e.String()
}

func TestDecode_EndsByWhatWouldBecomeOfTheBody(t *testing.T) {
	environ := fieldsFile(t, lobbyFile)
	for _, c := range []struct {
		name, body string
		args       []string
		code       int
		want       string
	}{
		{"a check-in request", `{"event":"signin_before","data":{"firstName":"Ada","org":"Acme"}}`, nil, ExitDone, "a check-in request\n"},
		{"one that lacks something", `{"event":"signin_before","data":{"firstName":"Ada","company":"Acme"}}`, nil, ExitFailed, "unasked  default, which expects company: its fallback incomplete would count"},
		{"an event", `{"event":"signin_after","date":1795038151,"data":{"signIn":7}}`, nil, ExitDone, "missing   person.firstName, person.lastName, company: the event is stored, and marked"},
		{"one that is not known", `{"event":"arrived","data":{}}`, nil, ExitFailed, "it would go to the quarantine: unknown_event"},
		{"one that is known by its URL", `{"event":"arrived","data":{}}`, []string{"--kind", "checked_in"}, ExitDone, "names no kind that is known"},
		{"no JSON", `{"event":"signin_after"`, nil, ExitFailed, "it would go to the quarantine: not_json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errOut := decodeWith(t, environ, c.body, append([]string{"--integration", "lobby", "--file", "-"}, c.args...)...)
			if code != c.code || !strings.Contains(out, c.want) || errOut != "" {
				t.Errorf("ended with %d, want %d and %q in\n%s%s", code, c.code, c.want, out, errOut)
			}
		})
	}
}

// Each way of having no date, no key of the visit and no field says which it is.
func TestDecode_SaysWhyNothingWasTaken(t *testing.T) {
	environ := fieldsFile(t, `
integrations:
- name: lobby
  expects: [date]
  fields: {company: [/people/*/company], visit: [/id], person.id: [/who], person.lastName: [/name], answers: [/a, /b], host.name: ["{/h} {/i}"], wrapper: [/0]}
`)
	for _, c := range []struct{ name, body, want string }{
		{"no date", `{"event":"signin_after"}`, "that of the receipt: no date was found\n"},
		{"a date that cannot be read", `{"event":"signin_after","date":"4/3/2026 21:42"}`, "the date that was found cannot be read; dates.formats may name its format\n"},
		{"what is shown of it", `{"event":"signin_after","date":"4/3/2026 21:42"}`, "built-in place  string 9/9/9999 99:99; it cannot be read\n"},
		{"an expected date that cannot be read", `{"event":"signin_before","date":"4/3/2026 21:42"}`, "default, which expects date: its fallback"},
		{"the person's id", `{"event":"signin_after","id":7,"who":7}`, "has no key: the id that was found is that of the person\n"},
		{"where that is", `{"event":"signin_after","id":7,"who":7}`, "/id          number  is the id of the person"},
		{"another type", `{"event":"signin_after","name":[42]}`, "/name        list  is not a value of person.lastName"},
		{"answers at another place", `{"event":"signin_after","b":{"x":"y"},"a":{"x":"y"}}`, "/b           object  answers is taken from another place"},
		{"half a template", `{"event":"signin_after","h":"x"}`, "is a part of a template for host.name"},
		{"a name that is a key", `{"event":"signin_after","people":{"lovelace":{"company":7,"badge":7}}}`, "/people/*/badge  number\n"},
		{"a name that is a key of a value", `{"event":"signin_after","people":{"lovelace":{"company":7}}}`, "/people/*/company  number"},
		{"outside of the wrapper", `[{"event":"signin_after"},{"event":"signin_after"}]`, "/1           object  no place leads to this element"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, out, errOut := decodeWith(t, environ, c.body, "--integration", "lobby", "--file", "-"); !strings.Contains(out, c.want) || errOut != "" {
				t.Errorf("want %q in\n%s%s", c.want, out, errOut)
			}
		})
	}
}

func TestDecode_SaysWhatIsWrongWithItsArguments(t *testing.T) {
	environ := fieldsFile(t, lobbyFile)
	for _, c := range []struct {
		name    string
		environ []string
		args    []string
		code    int
		want    string
	}{
		{"no file", environ, []string{"--integration", "lobby"}, ExitUsage, "--file is needed"},
		{"a file that is not there", environ, []string{"--integration", "lobby", "--file", "/nowhere"}, ExitFailed, "no such file"},
		{"another kind", environ, []string{"--file", "-", "--kind", "checkedin"}, ExitUsage, "did you mean checked_in?"},
		{"another integration", environ, []string{"--integration", "loby", "--file", "-"}, ExitFailed, "integration loby is not configured; did you mean lobby?"},
		{"an integration with errors", fieldsFile(t, "integrations: [{name: lobby, fields: {company: [org]}}]"), []string{"--integration", "lobby", "--file", "-"}, ExitUsage, `fields.company[0]: must be a JSON pointer and begin with "/", as in "/org"`},
		{"a body that is too large", append(environ, "SINE_RELAY_BODY_LIMIT=8"), []string{"--integration", "lobby", "--file", "-"}, ExitFailed, "the body is larger than SINE_RELAY_BODY_LIMIT, 8 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if code, _, errOut := decodeWith(t, c.environ, "123456789", c.args...); code != c.code || !strings.Contains(errOut, c.want) {
				t.Errorf("ended with %d, want %d and %q in\n%s", code, c.code, c.want, errOut)
			}
		})
	}
}

// What decode prints can be shown to anybody, unless values are asked for.
func TestDecode_ShowsNoValueUnlessAskedTo(t *testing.T) {
	eachTenant(t, func(t *testing.T, tn tenant) {
		environ := []string{"SINE_RELAY_INTEGRATIONS_FILE=" + filepath.Join(tn.dir, "fields.yaml")}
		body := tn.body(t, "checkin")
		var document any
		if err := json.Unmarshal(body, &document); err != nil {
			t.Fatal(err)
		}
		args := []string{"--integration", tn.name, "--file", "-"}
		_, table, _ := decodeWith(t, environ, string(body), args...)
		_, asJSON, _ := decodeWith(t, environ, string(body), append(args, "--output", "json")...)
		_, shown, _ := decodeWith(t, environ, string(body), append(args, "--values")...)
		if !strings.Contains(shown, "Denied") {
			t.Errorf("--values shows\n%s", shown)
		}
		eachText(document, func(text string) {
			// Single letters and digits are in every output.
			if len(text) > 4 && (strings.Contains(table, text) || strings.Contains(asJSON, text)) {
				t.Errorf("%q is in\n%s%s", text, table, asJSON)
			}
		})
	})
}

// eachText visits the texts of a document but for those that name the event or an element
// that the configuration names, and are in the file.
func eachText(document any, do func(string)) {
	switch v := document.(type) {
	case map[string]any:
		for _, value := range v {
			eachText(value, do)
		}
	case []any:
		for _, value := range v {
			eachText(value, do)
		}
	case string:
		known := []string{"check_in_request", "hosts", "visitors", "visits", "visitor", "visit", "Company", "First name", "Surname", "given name", "family name"}
		for _, k := range known {
			if v == k {
				return
			}
		}
		do(v)
	}
}
