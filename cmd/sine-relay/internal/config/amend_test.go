package config

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

var someSettings = []AmendedSetting{
	{[]string{"kindAliases", "Anmeldung"}, "checked_in", ""},
	{[]string{"fields", "company"}, []string{"/data/firma", "/data/org"}, "guess by name"},
	{[]string{"fields", "person.name"}, []string{"{/data/a} {/data/b}", "/data/x/name=First name/*"}, ""},
	{[]string{"rejectionConfirmed"}, true, "test visit"},
}

// What is not changed stays as it is, byte for byte.
func TestAmend_ChangesNoOtherLine(t *testing.T) {
	for name, c := range map[string]struct{ before, after string }{
		"an entry with fields": {`# Ours.
defaults:
    timeZone: UTC # x

integrations:
  # the lobby
  - name: lobby   # first
    fields:
      # as of May
      company: [/data/org] # old
      visit: [/data/signin]

    expects: [ person ]

  # the dock
  - {name: dock, site: hq}
`, `# Ours.
defaults:
    timeZone: UTC # x

integrations:
  # the lobby
  - name: lobby   # first
    fields:
      # as of May
      company: [/data/firma, /data/org] # guess by name
      visit: [/data/signin]
      person.name: ['{/data/a} {/data/b}', /data/x/name=First name/*]

    expects: [ person ]
    kindAliases:
      Anmeldung: checked_in
    rejectionConfirmed: true # test visit

  # the dock
  - {name: dock, site: hq}
`},
		"an entry in braces": {`integrations:
- {name: dock, site: hq}
- {name: lobby, fields: {visit: [/v]}} # the lobby
- name: other
  rejectText: |
    one

    two
`, `integrations:
- {name: dock, site: hq}
- name: lobby # the lobby
  fields:
    visit: [/v]
    company: [/data/firma, /data/org] # guess by name
    person.name: ['{/data/a} {/data/b}', /data/x/name=First name/*]
  kindAliases:
    Anmeldung: checked_in
  rejectionConfirmed: true # test visit
- name: other
  rejectText: |
    one

    two
`},
		"a text behind which keys are added": {`integrations:
  - name: lobby
    rejectionConfirmed: false
    rejectText: |
      one

      two
`, `integrations:
  - name: lobby
    rejectionConfirmed: true # test visit
    rejectText: |
      one

      two
    kindAliases:
      Anmeldung: checked_in
    fields:
      company: [/data/firma, /data/org] # guess by name
      person.name: ['{/data/a} {/data/b}', /data/x/name=First name/*]
`},
	} {
		got, err := Amend([]byte(c.before), Amendment{"lobby", someSettings})
		if err != nil || string(got) != c.after {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
}

// What cannot be changed line by line is written anew, with its comments and all that it
// says.
func TestAmend_KeepsWhatAnyFileSays(t *testing.T) {
	for name, before := range map[string]string{
		"nothing":            "",
		"a comment":          "# to be filled in\n",
		"merged entry":       "integrations:\n  - &a {name: lobby, site: hq}\n  - <<: *a\n    name: dock\n",
		"no entry":           "defaults: {timeZone: UTC} # ours\n",
		"no such entry":      "integrations:\n  - name: dock # other\n",
		"JSON":               `{"integrations": [{"name": "dock"}, {"name": "lobby", "site": "hq", "fields": {"visit": ["/v"]}}]}`,
		"lists in braces":    "integrations: [{name: dock}, {name: lobby}]\n",
		"shared fields":      "defaults: &d\n  fields: &f {visit: [/v]}\nintegrations:\n  - name: lobby\n    fields: *f\n  - name: dock\n    fields: *f\n",
		"merged fields":      "defaults: &d\n  fields: {visit: [/v]}\nintegrations:\n  - <<: *d\n    name: lobby\n  - <<: *d\n    name: dock\n",
		"braces over lines":  "integrations:\n  - {name: lobby,\n  site: hq,\n  fields: {visit: [/v]\n}}\n  - name: dock\n",
		"no end of the line": "integrations:\n  - name: lobby",
		"Windows' lines":     "integrations:\r\n  - name: lobby # here\r\n    site: hq\r\n",
	} {
		for _, of := range []string{"lobby", ""} {
			got, err := Amend([]byte(before), Amendment{of, someSettings})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			want := map[string]any{}
			if err := yaml.Load([]byte(before), &want); err != nil && before != "" && !strings.HasPrefix(before, "#") {
				t.Fatal(err)
			}
			checkAmended(t, name+" of "+of, of, want, got)
			if _, comment, ok := strings.Cut(before, "#"); ok && !strings.Contains(string(got), strings.TrimSpace(comment[:strings.IndexAny(comment, "\r\n")])) {
				t.Errorf("%s: the comment is lost:\n%s", name, got)
			}
		}
	}
}

// checkAmended compares all but the settings with what was there before, and those with
// what was set.
func checkAmended(t *testing.T, name, of string, before map[string]any, got []byte) {
	t.Helper()
	var after map[string]any
	if err := yaml.Load(got, &after); err != nil {
		t.Errorf("%s: %v\n%s", name, err, got)
		return
	}
	entry, others := after["defaults"], 0
	for _, e := range asList(after["integrations"]) {
		if of != "" && e.(map[string]any)["name"] == of {
			entry = e
		} else {
			others++
		}
	}
	e, _ := entry.(map[string]any)
	fields, _ := e["fields"].(map[string]any)
	if e == nil || e["rejectionConfirmed"] != true || len(asList(fields["company"])) != 2 || e["kindAliases"].(map[string]any)["Anmeldung"] != "checked_in" {
		t.Errorf("%s: not set:\n%s", name, got)
	}
	for _, was := range asList(before["integrations"]) {
		if was.(map[string]any)["name"] == of {
			if was := was.(map[string]any); was["fields"] != nil && len(asList(fields["visit"])) != 1 {
				t.Errorf("%s: a field of it is lost:\n%s", name, got)
			}
			others++
		}
	}
	if want := len(asList(before["integrations"])); others != want {
		t.Errorf("%s: %d entries were there:\n%s", name, want, got)
	}
	for _, e := range asList(after["integrations"]) {
		if e := e.(map[string]any); e["name"] == "dock" && e["fields"] != nil && len(e["fields"].(map[string]any)) != 1 && of == "lobby" {
			t.Errorf("%s: another entry was changed:\n%s", name, got)
		}
	}
}

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}

func TestAmend_RefusesWhatIsNoFileOfIntegrations(t *testing.T) {
	for before, want := range map[string]string{
		"integrations: {":     "did not find expected",
		"[a]":                 "must be a mapping",
		"integrations: lobby": "must be a mapping",
		"defaults: [a]":       "",
		"integrations: [{name: lobby, fields: text}]":  "fields is not a mapping",
		"integrations: [{name: lobby}, {name: lobby}]": "integration lobby is there twice",
		"a: 1\n---\nb: 2\n":                            "must be a single document",
	} {
		_, err := Amend([]byte(before), Amendment{"lobby", someSettings})
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", before, err, want)
		}
	}
	if _, err := Amend(nil, Amendment{"a b", nil}); err == nil || !strings.Contains(err.Error(), "integration ") {
		t.Errorf("an invalid name: %v", err)
	}
	if _, err := Amend(nil, Amendment{"lobby", []AmendedSetting{{[]string{"expects"}, 7, ""}}}); err == nil {
		t.Error("a number was set")
	}
	if _, err := Amend([]byte("defaults: [a]"), Amendment{"", someSettings}); err == nil {
		t.Error("defaults that are a list were changed")
	}
}
