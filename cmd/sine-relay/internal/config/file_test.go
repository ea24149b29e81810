package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/internal/clientip"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

func TestFile_SaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"not YAML", "integrations: [", "i.yaml:"},
		{"a tab", "integrations:\n\t- a", "i.yaml:2: "},
		{"empty", "", "i.yaml: is empty"},
		{"a list", "- a", "i.yaml:1: must be a mapping, not a list"},
		{"a single value for the integrations", "integrations: 7", "i.yaml:1: integrations: must be a list, not a single value"},
		{"an entry that is a name", "integrations:\n- a\n", "i.yaml:2: integrations[0]: must be a mapping, not a single value"},
		{"a list for a text", "integrations:\n- name: [a]\n", "i.yaml:2: integrations[0]: name: must be a single value, not a list"},
		{"neither true nor false", "integrations: [{name: a, rejectionConfirmed: maybe}]", "i.yaml:1: integration a: rejectionConfirmed: must be true or false"},
		{"an unknown field", "integrations:\n- name: a\n  sitee: hq\n", `i.yaml:3: integration a: unknown field "sitee"; did you mean site?`},
		{"a swapped pair of letters", "integrations: [{nmae: a}]", `unknown field "nmae"; did you mean name?`},
		{"an unknown field of the defaults", "defaults: {timezone: UTC}\nintegrations: [{name: a}]\n", `unknown field "timezone"; did you mean timeZone?`},
		{"a name in the defaults", "defaults: {name: a}\nintegrations: [{name: a}]\n", `i.yaml:1: defaults: unknown field "name"`},
		{"an unknown field in JSON", `{"integrations": [{"name": "a",` + "\n" + `"displayname": "A"}]}`, `i.yaml:2: integration a: unknown field "displayname"; did you mean displayName?`},
		{"a field twice", "integrations:\n- name: a\n  name: b\n", `i.yaml:3: integrations[0]: field "name" is set twice`},
		{"a list for a text within", "integrations:\n- name: a\n  fallbacks:\n    timeout:\n      adminNote: [x]\n", "i.yaml:5: integration a: fallbacks.timeout.adminNote: must be a single value, not a list"},
		{"an unknown field that is merged", "integrations:\n- <<: {sitee: hq}\n  name: a\n", `i.yaml:2: integration a: unknown field "sitee"; did you mean site?`},
		{"a merge of itself", "integrations: [&a {name: a, <<: *a}]", "i.yaml:1: integrations[0]: "},
		{"a number that is none", "integrations: [{name: a, capture: {deliveries: s3cret}}]", "i.yaml:1: integration a: capture.deliveries: must be a whole number"},
		{"two documents", "integrations: []\n---\nintegrations: []\n", "single document"},
		{"an alias of itself", "integrations: &a [*a]", "i.yaml"},
		{"a key in the file", "integrations: [{name: a, keys: [x]}]\n", `unknown field "keys": this file holds no secret`},
		{"no name", "integrations: [{site: a}]\n", "i.yaml:1: integrations[0]: name: is required"},
		{"a site with a space", "integrations: [{name: a, site: Head Office}]\n", `integration a: site: must match [A-Za-z0-9_-]{1,64}, got "Head Office"; did you mean "head-office"?`},
		{"a name of nothing usable", "integrations: [{name: 東京}]\n", `integration "東京": name: must match`},
		{"an unknown situation", "integrations: [{name: a, fallbacks: {time_out: {decision: accept}}}]\n", "fallbacks.time_out: unknown situation; did you mean timeout?"},
		{"an unknown answer", "integrations: [{name: a, fallbacks: {timeout: {decision: perhaps}}}]\n", `fallbacks.timeout.decision: must be accept or reject, got "perhaps"`},
		{"a placeholder in a fallback", "integrations: [{name: a, fallbacks: {timeout: {visitorText: 'Call {reference}'}}}]\n", "fallbacks.timeout.visitorText: unknown placeholder {reference}"},
		{"a placeholder in a text", "integrations: [{name: a, rejectText: '{visitorText}'}]\n", "integration a: rejectText: unknown placeholder {visitorText}"},
		{"an unknown placeholder", "integrations: [{name: a, responses: {reject: {m: '{visitor}'}}}]\n", "responses.reject: m: "},
		{"an empty answer", "integrations: [{name: a, responses: {reject: {}}}]\n", "responses.reject: is empty"},
		{"a number that JSON does not know", "integrations: [{name: a, responses: {accept: {n: .nan}}}]\n", "responses.accept: "},
		{"a date in an answer", "integrations: [{name: a, responses: {accept: {n: !!timestamp 2026-01-01}}}]\n", "responses.accept: n: "},
		{"an unknown expectation", "integrations: [{name: a, expects: [person, lastName]}]\n", `integration a: expects[1]: has unknown field "lastName"; did you mean person.lastName?; must be person`},
		{"a decider's unknown expectation", "integrations: [{name: a, deciders: [{name: x, expects: [Company]}]}]\n", `deciders[0].expects[0]: has unknown field "Company"; did you mean company?`},
		{"an unknown field of a body", "defaults:\n  fields:\n    company: [/data/org]\n    person.firstname: [/data/given]\nintegrations: [{name: a}]\n", "i.yaml:4: defaults: fields.person.firstname: unknown field; did you mean person.firstName?; must be one of event, date"},
		{"a place that is no pointer", "integrations:\n- name: a\n  fields:\n    company:\n    - /data/org\n    - data.items[0].org\n", `i.yaml:6: integration a: fields.company[1]: must be a JSON pointer and begin with "/", as in "/data/items/0/org"`},
		{"a place without a value", "integrations:\n- name: a\n  fields:\n    company:\n    - /x\n    - ~\n", "i.yaml:6: integration a: fields.company[1]: has no value; write one, or remove the element"},
		{"an empty place", "integrations: [{name: a, fields: {company: ['']}}]\n", "fields.company[0]: must be a JSON pointer such as /data/company, and is empty"},
		{"a field without places", "integrations:\n- name: a\n  fields:\n    visit:\n    company: [/x]\n", "i.yaml:4: integration a: fields: visit has no value; write a list, or [] for none, or remove it"},
		{"an expectation without a value", "integrations: [{name: a, expects: [~]}]\n", "expects[0]: has no value"},
		{"a slip of the labels", "integrations: [{name: a, labels: {labels: [q], values: [a], question: [q]}}]\n", `labels: unknown field "labels"; did you mean label?`},
		{"a label of another name", "integrations: [{name: a, labels: {question: [q]}}]\n", `labels: unknown field "question"; must be one of label, value`},
		{"a path of another tool", "integrations: [{name: a, fields: {company: [/data.org]}}]\n", `fields.company[0]: is a path as other tools write it; did you mean "/data/org"?`},
		{"a place with an invalid escape", "integrations: [{name: a, fields: {company: [/data/a~2b]}}]\n", `fields.company[0]: has an invalid escape in "a~2b"`},
		{"too many places", "integrations: [{name: a, fields: {company: [" + strings.Repeat("/a,", 9) + "]}}]\n", "fields.company: has 9 places, at most 8 are supported"},
		{"a template that does not end", "integrations: [{name: a, fields: {person.name: ['{/data/first} {/data/last']}}]\n", `fields.person.name[0]: has a "{" without "}"`},
		{"a template of an id", "integrations: [{name: a, fields: {visit: ['{/data/a}{/data/b}']}}]\n", "fields.visit[0]: must be a JSON pointer: a template could make one id of two"},
		{"one place for visit and person", "defaults: {fields: {person.id: [/data/visitor/id]}}\nintegrations:\n- name: a\n  fields:\n    visit: [/data/signInId, /data/Visitor/ID]\n", "i.yaml:5: integration a: fields.visit[1]: is where the id of the person is looked for"},
		{"a label without a key", "integrations: [{name: a, labels: {label: ['']}}]\n", "labels.label[0]: must be a key of an answer"},
		{"a format of dates as Go has it", "integrations: [{name: a, dates: {formats: ['02/01/2006']}}]\n", `dates.formats[0]: has "0" outside of a directive: write dates as strftime does`},
		{"a format with an unknown directive", "integrations: [{name: a, dates: {formats: ['%d/%m/%Y %T']}}]\n", `dates.formats[0]: has an unknown directive "%T"; known are %Y`},
		{"a format without an hour", "integrations: [{name: a, dates: {formats: ['%d/%m/%Y']}}]\n", "dates.formats[0]: must have an hour, %H"},
		{"a zone of dates that is none", "integrations: [{name: a, dates: {timeZone: AEST}}]\n", `dates.timeZone: must be a time zone of the IANA database`},
		{"an unknown cause", "integrations: [{name: a, causeAliases: {AUTO: expire}}]\n", `causeAliases.AUTO: must be one of checked_out, expired, left_area, unknown, got "expire"`},
		{"an external id that cannot be shown", "integrations: [{name: a, externalId: \"a\\nb\"}]\n", "integration a: externalId: contains a non-printable character"},
		{"an unknown event", "integrations: [{name: a, kinds: [checkedin]}]\n", `kinds[0]: must be one of check_in_request, checked_in, checked_out, got "checkedin"; did you mean checked_in?`},
		{"a name for an unknown event", "integrations: [{name: a, kindAliases: {x: y}}]\n", `kindAliases.x: must be one of check_in_request, checked_in, checked_out, got "y"`},
		{"two meanings of an event name", "integrations: [{name: a, kindAliases: {Came In: checked_in, came_in: checked_out}}]\n", "kindAliases.came_in: is another spelling"},
		{"an event name of separators", "integrations: [{name: a, kindAliases: {'-': checked_in}}]\n", "kindAliases.-: contains neither"},
		{"a decider with a wildcard", "integrations: [{name: a, decider: '>'}]\n", `decider: must match`},
		{"two ways of naming deciders", "integrations: [{name: a, decider: x, deciders: [{name: y}]}]\n", "decider: must not be set together with deciders"},
		{"a decider without a name", "integrations: [{name: a, deciders: [{shadow: true}]}]\n", "deciders[0].name: is required"},
		{"a decider twice", "integrations: [{name: a, deciders: [{name: x}, {name: x}]}]\n", `deciders[1].name: "x" is used twice`},
		{"shadows only", "integrations: [{name: a, deciders: [{name: x, shadow: true}]}]\n", "deciders: at least one decider must not be a shadow"},
		{"nobody", "integrations: [{name: a, deciders: []}]\n", "deciders: at least one decider must not be a shadow"},
		{"a condition with a problem", "integrations: [{name: a, deciders: [{name: x, condition: 'visitortype == \"C\"'}]}]\n", `deciders[0].condition: 1:1: undeclared reference to 'visitortype' (did you mean 'visitorType'?)`},
		{"a condition that is none", "integrations: [{name: a, deciders: [{name: x, condition: company}]}]\n", "deciders[0].condition: "},
		{"a decider's unknown situation", "integrations: [{name: a, deciders: [{name: x, fallbacks: {late: {}}}]}]\n", "deciders[0].fallbacks.late: unknown situation"},
		{"a decider's fallback that would never be used", "integrations: [{name: a, deciders: [{name: x, fallbacks: {overloaded: {}}}]}]\n", "deciders[0].fallbacks.overloaded: unknown situation"},
		{"a capture without an end", "integrations: [{name: a, capture: {deliveries: 3}}]\n", `capture.until: must be a time in RFC 3339 such as 2026-11-30T18:00:00Z, got ""`},
		{"a capture of too many", "integrations: [{name: a, capture: {deliveries: 1000, until: '2026-11-30T18:00:00Z'}}]\n", "capture.deliveries: must be between 1 and 100, got 1000"},
		{"another combination", "integrations: [{name: a, combine: most}]\n", `combine: must be all or any, got "most"`},
		{"an address that is none", "integrations: [{name: a, allowFrom: [10.0.0.1/8]}]\n", "allowFrom: "},
		{"a budget that outlasts the answer", "integrations: [{name: a, decisionBudget: 10s}]\n", "integration a: decisionBudget: must be shorter than SINE_RELAY_WRITE_TIMEOUT (10s), got 10s"},
		{"a budget without a unit", "integrations: [{name: a, decisionBudget: 3}]\n", "did you mean 3s?"},
		{"a budget of nothing", "defaults: {decisionBudget: 0s}\nintegrations: [{name: a}]\n", "i.yaml:1: defaults: decisionBudget: must be positive"},
		{"the default integration twice", "integrations: [{name: default}, {name: a}]\n", "SINE_RELAY_KEYS: defines the integration"},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, invalid(t, append(withFile(t, c.content, "a"), "KEYS="+key)...), c.want)
		})
	}
}

func TestIntegrations_ProblemInDefaultsIsReportedOnce(t *testing.T) {
	file := "defaults: {timeZone: Mars, decisionBudget: 1h, fallbacks: {late: {decision: accept}}, responses: {reject: {a: '{b}'}}}\nintegrations: [{name: a}, {name: b}, {name: c}]"
	text := invalid(t, withFile(t, file, "a", "b", "c")...)
	expect(t, text, "i.yaml:1: defaults: timeZone", "i.yaml:1: defaults: decisionBudget", "i.yaml:1: defaults: fallbacks.late", "i.yaml:1: defaults: responses.reject")
	if got := strings.Count(text, "\n") + 1; got != 4 {
		t.Errorf("%d problems:\n%s", got, text)
	}
}

// What is missing may stand in the part that could not be read.
func TestIntegrations_UnreadablePartIsOneProblem(t *testing.T) {
	for _, file := range []string{"integrations: [{name: [a]}, {name: b}]", "integrations: [a, {name: b}]", "integrations: 7", "integrations: ["} {
		if text := invalid(t, withFile(t, file, "a", "b")...); strings.Contains(text, "\n") {
			t.Errorf("%s has more than one problem:\n%s", file, text)
		}
	}
}

func TestIntegrations_UnquotedYAMLScalarsStayStrings(t *testing.T) {
	s := load(t, withFile(t, "integrations: [{name: 007, displayName: No, site: 2026-11-23, externalId: 0x1F, rejectText: 1e3, decider: true}]", "007")...)
	e, i := s.Entries[0], s.Integrations[0]
	if e.Name != "007" || e.DisplayName != "No" || e.Site != "2026-11-23" || e.ExternalID != "0x1F" || i.Policy.RejectText != "1e3" || i.Deciders[0].Name != "true" {
		t.Errorf("%+v %+v", e, i)
	}
}

// White space that came along when pasting is no part of the external id.
func TestIntegrations_TrimTheExternalID(t *testing.T) {
	s := load(t, withFile(t, "integrations: [{name: a, externalId: ' HQ-7 '}]", "a")...)
	if got := s.Integrations[0].ExternalID; got != "HQ-7" {
		t.Errorf("%q", got)
	}
}

func TestIntegrations_NinetyShareTheDefaults(t *testing.T) {
	var file strings.Builder
	file.WriteString("defaults:\n  timeZone: Australia/Adelaide\n  decisionBudget: 1s\n  rejectMode: status\n" +
		"  fallbacks: {timeout: {decision: accept}, no_decider: {visitorText: Nobody is in}}\n  kindAliases: {arrived: checked_in}\nintegrations:\n")
	contents := map[string]string{}
	for i := range 90 {
		fmt.Fprintf(&file, "- {name: lobby-%d, site: site-%d}\n", i, i%45)
		contents[fmt.Sprintf("keys/lobby-%d", i)] = fmt.Sprintf("a-key-of-its-own-%d\n", i)
	}
	file.WriteString("- {name: odd, decisionBudget: 3s, fallbacks: {timeout: {decision: reject, visitorText: Wait}}, kindAliases: {left: checked_out}}\n")
	contents["keys/odd"] = "# a comment\n\n# name: spring\nan-odd-key-0123456789\nanother-odd-key-0123456789\n"
	contents["i.yaml"] = file.String()
	dir := files(t, contents)
	s := load(t, "KEYS=", "INTEGRATIONS_FILE="+dir+"/i.yaml", "KEYS_DIR="+dir+"/keys")
	if len(s.Integrations) != 91 {
		t.Fatalf("%d integrations", len(s.Integrations))
	}
	first, odd := s.Integrations[0], s.Integrations[90]
	if first.Budget != time.Second || first.Zone.String() != "Australia/Adelaide" || first.RejectMode != relay.RejectByStatus || first.Policy.Fallbacks["timeout"].Verdict != visit.Accept {
		t.Errorf("the first: %+v", first)
	}
	if odd.Site != "odd" || odd.Budget != 3*time.Second || odd.Policy.Fallbacks["timeout"].VisitorText != "Wait" || odd.Policy.Fallbacks["no_decider"].VisitorText != "Nobody is in" {
		t.Errorf("the odd one: %+v", odd)
	}
	if odd.Events["arrived"] != visit.KindCheckedIn || odd.Events["left"] != visit.KindCheckedOut {
		t.Errorf("its event names: %v", odd.Events)
	}
	if names := s.Entries[90].KeyNames; !slices.Equal(names, []string{"spring", "odd#2"}) {
		t.Errorf("its keys: %v", names)
	}
}

func TestIntegrations_FallbacksMergeOverDefaults(t *testing.T) {
	s := load(t, withFile(t, `
defaults:
  kinds: [checked_in]
  fallbacks:
    timeout: {decision: accept, visitorText: Come in, adminNote: Unchecked}
    denied: {decision: accept}
integrations:
- {name: inherits}
- {name: rewords, kinds: [], fallbacks: {timeout: {visitorText: Willkommen}}}
- {name: decides, fallbacks: {timeout: {decision: reject}}}
`, "inherits", "rewords", "decides")...)
	for i, want := range []string{"accept Come in Unchecked", "accept Willkommen Unchecked", "reject  "} {
		f := s.Integrations[i].Policy.Fallbacks["timeout"]
		if got := fmt.Sprintf("%s %s %s", f.Verdict, f.VisitorText, f.AdminNote); got != want {
			t.Errorf("%s: %s, want %s", s.Entries[i].Name, got, want)
		}
		if s.Integrations[i].Policy.Fallbacks["denied"].Verdict != visit.Accept {
			t.Errorf("%s lost the other fallback", s.Entries[i].Name)
		}
	}
	if len(s.Entries[0].Kinds) != 1 || len(s.Entries[1].Kinds) != 0 {
		t.Errorf("kinds %v, %v", s.Entries[0].Kinds, s.Entries[1].Kinds)
	}
}

func TestIntegrations_SeveralDecidersMergeOverDefaults(t *testing.T) {
	s := load(t, withFile(t, `
defaults:
  combine: any
  fallbacks: {timeout: {decision: accept}, no_decider: {visitorText: Nobody is in}}
  deciders: [{name: watchlist}]
integrations:
- {name: a}
- name: b
  combine: all
  allowFrom: [198.51.100.0/24, 203.0.113.7]
  deciders:
  - name: watchlist
    fallbacks: {timeout: {decision: reject}}
  - {name: induction, condition: visitorType == "Contractor", shadow: true}
`, "a", "b")...)
	a, b := s.Integrations[0], s.Integrations[1]
	if a.Policy.Combination != policy.Any || len(a.Deciders) != 1 || a.AllowFrom != nil {
		t.Errorf("%+v", a)
	}
	first, second := b.Deciders[0], b.Deciders[1]
	if b.Policy.Combination != policy.All || first.Condition != nil || first.Fallbacks[policy.Timeout].Verdict != visit.Reject ||
		second.Condition == nil || !second.Shadow || len(b.AllowFrom) != 2 {
		t.Errorf("%+v", b)
	}
	if a.PolicyVersion == "" || a.PolicyVersion != b.PolicyVersion {
		t.Errorf("policy versions %q and %q", a.PolicyVersion, b.PolicyVersion)
	}
}

func TestSettings_TrustedProxiesAndForwardedHeaderAreChecked(t *testing.T) {
	s := load(t, "TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.1", "FORWARDED_HEADER=forwarded")
	if len(s.Proxies.Trusted) != 2 || s.Proxies.Header != clientip.Forwarded {
		t.Errorf("%+v", s.Proxies)
	}
	text := invalid(t, "TRUSTED_PROXIES=10.0.0.1/8,0.0.0.0/0,nowhere", "FORWARDED_HEADER=X-Real-IP")
	expect(t, text, "SINE_RELAY_TRUSTED_PROXIES: ", "10.0.0.0/8", "nowhere", "SINE_RELAY_FORWARDED_HEADER: ")
	expect(t, invalid(t, "TRUSTED_PROXIES=0.0.0.0/0"), "must not contain 0.0.0.0/0")
}

func TestDigest_ChangesWithTheFiles(t *testing.T) {
	settings := withFile(t, "integrations: [{name: a}]", "a")
	s := load(t, settings...)
	before, keys := s.Digest(), s.Keyring.Digest()
	if s.Digest() != before || s.ReadKeys(s.Keyring).Digest() != keys {
		t.Error("it changes by itself")
	}
	_, dir, _ := strings.Cut(settings[2], "=")
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("another-key-0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	changed := s.ReadKeys(s.Keyring).Digest()
	if changed == keys {
		t.Error("a changed key is not noticed")
	}
	if err := os.Remove(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if s.ReadKeys(s.Keyring).Digest() == changed {
		t.Error("a removed file is not noticed")
	}
	if s.Digest() != before {
		t.Error("keys are taken for a change of the rest")
	}
}

// A problem in any file keeps a reload from being in force, so that a change in any
// must lead to another.
func TestDigest_CoversEveryFileThatWasRead(t *testing.T) {
	dir := files(t, map[string]string{"i.yaml": "integrations: [{name: a}]", "keys/a": key, "token": "t", "creds": "c"})
	for _, file := range []string{"i.yaml", "token", "creds"} {
		settings := []string{"KEYS=", "INTEGRATIONS_FILE=" + dir + "/i.yaml", "KEYS_DIR=" + dir + "/keys"}
		if file == "token" {
			settings = append(settings, "NATS_TOKEN_FILE="+dir+"/token")
		}
		if file == "creds" {
			settings = append(settings, "NATS_CREDENTIALS_FILE="+dir+"/creds")
		}
		s := load(t, settings...)
		before := s.Digest()
		if err := os.Rename(filepath.Join(dir, file), filepath.Join(dir, "away")); err != nil {
			t.Fatal(err)
		}
		if s.Digest() == before {
			t.Errorf("that %s is gone is not noticed", file)
		}
		if err := os.Rename(filepath.Join(dir, "away"), filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
		if s.Digest() != before {
			t.Errorf("that %s is back is not noticed", file)
		}
	}
}

func TestIntegrations_ExpectsReplacesDefaults(t *testing.T) {
	s := load(t, withFile(t, "defaults: {expects: [person.email]}\nintegrations: [{name: a}, {name: b, expects: [person|person.mobile, company]}, {name: c, expects: []}]", "a", "b", "c")...)
	for i, want := range []string{"[[person.email]]", "[[person.firstName person.lastName person.mobile] [company]]", "[]"} {
		fields := [][]fields.Field{}
		for _, e := range s.Integrations[i].Expects {
			fields = append(fields, e.Fields())
		}
		if got := fmt.Sprint(fields); s.Integrations[i].Expects == nil || got != want {
			t.Errorf("%s: %v, want %v", s.Integrations[i].Name, got, want)
		}
	}
	if got := load(t, withFile(t, "integrations: [{name: a}]", "a")...).Integrations[0].Expects; got != nil {
		t.Errorf("%v where nothing is said", got)
	}
}

// Each list and each word is inherited on its own. Those who say nothing share what the
// defaults are compiled to.
func TestIntegrations_FieldsMergeOverDefaults(t *testing.T) {
	s := load(t, withFile(t, `
defaults:
  fields: {company: [/data/org], person.firstName: [/data/given]}
  dates: {formats: ["%d/%m/%Y %H:%M"], timeZone: Europe/Zurich}
  causeAliases: {AUTO: expired}
integrations:
- {name: a}
- {name: b}
- {name: c, fields: {company: [/data/employer]}, causeAliases: {gone: left_area}, dates: {timeZone: UTC}}
`, "a", "b", "c")...)
	if s.Integrations[0].Fields != s.Integrations[1].Fields {
		t.Error("each integration has fields of its own")
	}
	for i, want := range []string{"Org Ada expired 2026-03-04T05:06:00+01:00", "", "Emp Ada left_area 2026-03-04T05:06:00Z"} {
		if want == "" {
			continue
		}
		f := s.Integrations[i].Fields
		word := map[int]string{0: "AUTO", 2: "Gone"}[i]
		b, reason := f.Read([]byte(`{"event":"x","date":"4/3/2026 5:06","data":{"org":"Org","employer":"Emp","given":"Ada","status":"`+word+`"}}`), 32)
		if reason != "" {
			t.Fatal(reason)
		}
		at := f.ReadDate(b.Date, time.UTC, time.Time{})
		if got := fmt.Sprint(b.Pass.Company, " ", b.Pass.Person.FirstName, " ", b.Cause, " ", at.Time.Format(time.RFC3339)); got != want {
			t.Errorf("%s: %s, want %s", s.Integrations[i].Name, got, want)
		}
	}
}

func TestIntegrations_TooManyAreInvalid(t *testing.T) {
	text := invalid(t, withFile(t, "integrations: ["+strings.Repeat("{name: a},", maxIntegrations+1)+"]", "a")...)
	if want := "  i.yaml: contains 2001 integrations, the maximum is 2000"; !strings.HasPrefix(text, want) || strings.Contains(text, "\n") {
		t.Errorf("%s\nwant %s", text, want)
	}
	expect(t, invalid(t, withFile(t, strings.Repeat("#", largestFile+1), "a")...), "SINE_RELAY_INTEGRATIONS_FILE: cannot read the file: too large: more than 16777216 bytes")
}

func TestIntegrations_BlankTextIsInherited(t *testing.T) {
	s := load(t, withFile(t, `
defaults: {rejectText: Ask your host, fallbacks: {timeout: {decision: accept, visitorText: Come in, adminNote: Unchecked}}}
integrations: [{name: a, rejectText: " ", fallbacks: {timeout: {visitorText: "\u200b", adminNote: "\t"}}}]`, "a")...)
	p := s.Integrations[0].Policy
	if want := (policy.Fallback{Verdict: visit.Accept, VisitorText: "Come in", AdminNote: "Unchecked"}); p.RejectText != "Ask your host" || p.Fallbacks[policy.Timeout] != want {
		t.Errorf("%+v", p)
	}
}

// A stored event is read again in its own zone where nobody has chosen one.
func TestFile_ATimeZoneOfTheEnvironmentIsAssumed(t *testing.T) {
	for file, want := range map[string]string{
		"integrations: [{name: a}, {name: b, timeZone: UTC}]":                                   "Australia/Adelaide true UTC false Australia/Adelaide true",
		"defaults: {timeZone: Asia/Tokyo}\nintegrations: [{name: a}, {name: b, timeZone: UTC}]": "Asia/Tokyo false UTC false Asia/Tokyo false",
	} {
		s := load(t, append(withFile(t, file, "a", "b"), "KEYS="+key, "TIME_ZONE=Australia/Adelaide")...)
		var got []string
		for _, i := range s.Integrations {
			got = append(got, fmt.Sprint(i.Zone, i.ZoneAssumed))
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
}
