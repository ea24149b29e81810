package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/learn"
	"github.com/sine-relay/sine-relay/visit"
)

func learnWith(t *testing.T, environ []string, stdin string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(t.Context(), Process{Args: append([]string{"learn"}, args...), Environ: environ, Stdin: strings.NewReader(stdin), Stdout: &o, Stderr: &e})
	return code, o.String(), e.String()
}

// readTenant is what a configuration makes of a tenant's body, at a URL that names the
// kind.
func readTenant(t *testing.T, tn tenant, settings config.Settings, name string, kind visit.Kind) *visit.Event {
	t.Helper()
	reader, err := relay.NewReader(settings.Integrations, server.Limits(settings))
	if err != nil {
		t.Fatal(err)
	}
	d, err := reader.Decode(tn.name, kind, tn.body(t, name), noon, visit.Subjects{})
	if err != nil {
		t.Fatal(err)
	}
	if d.Event == nil {
		return &visit.Event{}
	}
	return d.Event
}

// What learn writes finds the visitor, the company and the visit of each tenant, as the
// configuration does that somebody wrote, or it says that it did not find them.
func TestLearn_WhatItWritesIsReadByTheRelay(t *testing.T) {
	eachTenant(t, func(t *testing.T, tn tenant) {
		const before = "# ours\nintegrations:\n  - {name: dock, site: hq}\n  - name: NAME\n    site: hq # here\n"
		environ := fieldsFile(t, strings.Replace(before, "NAME", tn.name, 1))
		code, out, errOut := learnWith(t, environ, "", "--integration", tn.name, "--file", tn.dir+"/checkin.json", "--file", tn.dir+"/checkout.json", "--write", "-o", "json")
		var said learned
		if err := json.Unmarshal([]byte(out), &said); code != ExitDone || err != nil {
			t.Fatalf("ended with %d: %s %v\n%s", code, errOut, err, out)
		}
		settings, err := config.LoadOffline(environ)
		if err != nil || len(settings.NonFatal) > 0 {
			t.Fatal(err, settings.NonFatal)
		}
		for name, kind := range map[string]visit.Kind{"checkin": visit.KindCheckInRequest, "checkout": visit.KindCheckedOut} {
			want, got := readTenant(t, tn, tn.settings, name, kind), readTenant(t, tn, settings, name, kind)
			for field, pair := range map[fields.Field][2]string{
				fields.LastName: {want.Person.FirstName + " " + want.Person.LastName, got.Person.FirstName + " " + got.Person.LastName},
				fields.Company:  {want.Company, got.Company}, fields.Visit: {want.Visit.Value, got.Visit.Value},
			} {
				open := slices.ContainsFunc(said.Fields, func(f learnedField) bool {
					return f.Field == string(field) && (f.State == learn.Open || f.State == learn.NotFound)
				})
				// Two ids stay the same for one visit: nobody can say which of them is meant.
				if pair[0] != pair[1] && !open && (tn.name != "numbers-as-ids" || field != fields.Visit) {
					t.Errorf("%s: %s is %q, want %q\n%s", name, field, pair[1], pair[0], out)
				}
			}
		}
		file, _ := os.ReadFile(strings.TrimPrefix(environ[0], "SINE_RELAY_INTEGRATIONS_FILE="))
		if !strings.HasPrefix(string(file), strings.Replace(before, "NAME", tn.name, 1)[:len(before)-8]) {
			t.Errorf("other lines are changed:\n%s", file)
		}
	})
}

// Without --write nothing is changed, and what is printed is a file of integrations.
func TestLearn_PrintsAFileOfIntegrations(t *testing.T) {
	dir := tenants + "/another-language"
	environ := fieldsFile(t, "integrations: [{name: lobby}]")
	file := strings.TrimPrefix(environ[0], "SINE_RELAY_INTEGRATIONS_FILE=")
	for _, flags := range [][]string{nil, {"--values"}, {"--defaults"}} {
		code, out, errOut := learnWith(t, environ, "", append([]string{"--integration", "lobby", "--file", dir + "/checkin.json", "--file", dir + "/checkout.json"}, flags...)...)
		if code != ExitDone || !strings.Contains(errOut, "Nothing was changed") {
			t.Errorf("ended with %d: %s", code, errOut)
		}
		settings, err := config.LoadOffline(fieldsFile(t, out))
		if err != nil || len(settings.NonFatal) > 0 {
			t.Fatalf("%v %v:\n%s", err, settings.NonFatal, out)
		}
		if shown := strings.Contains(out, "Łucja"); shown != slices.Contains(flags, "--values") {
			t.Errorf("%v: values are shown: %v", flags, shown)
		}
		if under := strings.Contains(out, "\ndefaults:"); under != slices.Contains(flags, "--defaults") {
			t.Errorf("%v: under defaults: %v", flags, under)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "integrations: [{name: lobby}]" {
		t.Errorf("the file is %q, %v", text, err)
	}
	// The integration of the environment takes the defaults.
	into := filepath.Join(t.TempDir(), "new.yaml")
	code, _, errOut := learnWith(t, []string{"SINE_RELAY_SITE=hq"}, `{"event":"signin_after","data":{"vorname":"Ada"}}`, "--file", "-", "--write", "--into", into)
	text, err := os.ReadFile(into)
	if code != ExitDone || err != nil || !strings.HasPrefix(string(text), "defaults:\n") || !strings.Contains(errOut, "Written into "+into) {
		t.Errorf("ended with %d: %s %v\n%s", code, errOut, err, text)
	}
	code, _, errOut = learnWith(t, []string{"SINE_RELAY_INTEGRATIONS_FILE=" + into, "SINE_RELAY_SITE=hq"}, `{"event":"signin_after","data":{"vorname":"Ada"}}`, "--file", "-", "--write")
	if code != ExitDone || !strings.Contains(errOut, "Nothing was written") {
		t.Errorf("the second time it ended with %d: %s", code, errOut)
	}
}

func TestLearn_SaysWhatKeepsItFromWriting(t *testing.T) {
	body := `{"event":"signin_after","data":{"vorname":"Ada"}}`
	dir := t.TempDir()
	list, broken := filepath.Join(dir, "list.yaml"), filepath.Join(dir, "broken.yaml")
	for file, content := range map[string]string{list: "[a]", broken: "defaults: {timeZone: Nowhere}\n"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lobby := fieldsFile(t, lobbyFile)
	for name, c := range map[string]struct {
		environ []string
		args    []string
		code    int
		want    string
	}{
		"no file":                      {nil, []string{"--file", "-", "--write"}, ExitUsage, "--write needs a file"},
		"a file without writing":       {nil, []string{"--file", "-", "--into", "x"}, ExitUsage, "--into needs --write"},
		"a rejection of files":         {nil, []string{"--file", "-", "--rejection"}, ExitUsage, "--rejection goes without"},
		"no body":                      {nil, []string{"--file", filepath.Join(dir, "absent")}, ExitFailed, "no such file"},
		"no log":                       {nil, []string{"--capture", filepath.Join(dir, "absent")}, ExitFailed, "read the log"},
		"a log of something else":      {nil, []string{"--capture", list}, ExitFailed, "the log has no shape"},
		"another integration":          {lobby, []string{"--file", "-", "--integration", "loby"}, ExitFailed, "did you mean lobby?"},
		"an invalid integration":       {fieldsFile(t, "integrations: [{name: lobby, fields: {x: [y]}}]"), []string{"--file", "-", "--integration", "lobby"}, ExitUsage, "unknown field"},
		"a file of something else":     {lobby, []string{"--file", "-", "--integration", "lobby", "--write", "--into", list}, ExitFailed, "cannot be changed: the file is not one of integrations"},
		"a file with an error":         {lobby, []string{"--file", "-", "--integration", "lobby", "--write", "--into", broken}, ExitUsage, "Nowhere"},
		"a folder in place of a file":  {lobby, []string{"--file", "-", "--integration", "lobby", "--write", "--into", dir}, ExitFailed, "read the integrations file"},
		"a folder that does not exist": {lobby, []string{"--file", "-", "--integration", "lobby", "--write", "--into", dir + "/x/y.yaml"}, ExitFailed, "write the integrations file"},
		"no NATS":                      {lobby, []string{"--integration", "lobby"}, ExitUsage, "NATS"},
	} {
		code, out, errOut := learnWith(t, c.environ, body, c.args...)
		if code != c.code || !strings.Contains(errOut, c.want) || strings.Contains(errOut, "Written") {
			t.Errorf("%s: ended with %d: %s%s; want %q", name, code, out, errOut, c.want)
		}
	}
	for file, content := range map[string]string{list: "[a]", broken: "defaults: {timeZone: Nowhere}\n"} {
		if text, err := os.ReadFile(file); err != nil || string(text) != content {
			t.Errorf("%s is now %q, %v", file, text, err)
		}
	}
}

// Marked visitors: no value is printed unless values are asked for.
func TestLearn_PrintsNoValue(t *testing.T) {
	body := `{"ereignis":"Zmark signed in","wann":"Zmark","besucher":{"vorname":"Zmark","nachname":"Zmark","firma":"Zmark","mail":"zmark@example.com","Zmark Zmark":1,` +
		`"besuch":{"nummer":"Zmark-7"}},"fragen":[{"frage":"Zmark?","antwort":"Zmark"}],"people":{"+61 400 000 000":{"vorname":"Zmark"}}}`
	for _, format := range []string{asTable, asJSON} {
		for _, values := range []bool{false, true} {
			args := []string{"--file", "-", "--output", format}
			if values {
				args = append(args, "--values")
			}
			code, out, errOut := learnWith(t, []string{"SINE_RELAY_SITE=hq"}, body, args...)
			if shown := strings.Contains(out+errOut, "Zmark") || strings.Contains(out+errOut, "zmark") || strings.Contains(out, "400"); code != ExitDone || shown != values {
				t.Errorf("%s, values %v: ended with %d\n%s%s", format, values, code, out, errOut)
			}
		}
	}
}

// someLearned has something of each kind.
func someLearned(t *testing.T) learned {
	t.Helper()
	l, err := newLearned("lobby", "lobby", &learn.Report{
		Bodies: 3, Repeated: 1, Unread: map[visit.Reason]int{visit.ReasonNotJSON: 1},
		Fields: []learn.Finding{
			{Field: fields.Date, State: learn.Found, Places: []string{"/date"}, Looks: []string{"string 9999-99-99a99:99:99a"}, In: 3, Basis: "built-in place"},
			{Field: fields.Visit, State: learn.Open, Places: []string{"/data/ref", "/data/key"}, Looks: []string{"string, up to 8 characters"}, In: 3, Basis: "its name does not say whose id it is"},
			{Field: fields.LastName, State: learn.Proposed, Places: []string{"/data/nachname"}, Looks: []string{"string, up to 8 characters"}, In: 3, Basis: "guess by name", Values: []string{"Lovelace"}},
			{Field: fields.Company, State: learn.NotFound, Basis: "no key is called so, and no value looks like it"},
		},
		Kinds:     []learn.Alias[visit.Kind]{{Word: "anmeldung", Basis: "It may be before or after", Bodies: 1}, {Word: "abmeldung", Means: visit.KindCheckedOut, Basis: "guess by name", Bodies: 1}},
		Causes:    []learn.Alias[visit.Cause]{{Word: "geo", Means: visit.CauseLeftArea, Basis: "guess by its words", Bodies: 1}},
		Spec:      fields.Spec{Places: map[fields.Field][]string{fields.LastName: {"/data/nachname"}}, DateFormats: []string{"%d.%m.%Y %H:%M"}, Labels: []string{"frage"}},
		Why:       map[string]string{"dates.formats": "no other format fits", "labels.label": "guess by name"},
		Questions: []string{"Which place has the id of the visit?"},
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Written = "integrations.yaml"
	return l
}
