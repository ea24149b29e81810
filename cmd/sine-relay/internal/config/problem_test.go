package config

import (
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// Sixty keyWarnings that are alike are one line, which names the first few.
func TestWarnings_SimilarOnesShareALine(t *testing.T) {
	var file strings.Builder
	file.WriteString("defaults: {rejectMode: status}\nintegrations:\n")
	contents := map[string]string{}
	for i := range 90 {
		fmt.Fprintf(&file, "- {name: lobby-%02d, site: site-%02d}\n", i, i%60)
		contents[fmt.Sprintf("keys/lobby-%02d", i)] = fmt.Sprintf("short-%04d", i)
	}
	contents["i.yaml"] = file.String()
	dir := files(t, contents)
	s := load(t, "KEYS=", "INTEGRATIONS_FILE="+dir+"/i.yaml", "KEYS_DIR="+dir+"/keys")
	lines := s.Warnings.Lines()
	if len(lines) != 3 {
		t.Fatalf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	expect(t, lines[0], "keys/lobby-00:1 (lobby-00, key lobby-00#1), keys/lobby-01:1 (lobby-01, key lobby-01#1), ", "lobby-03#1), and 86 more: has fewer than 16 characters")
	expectNot(t, lines[0], "lobby-04")
	expect(t, lines[1], "i.yaml:3 (integrations lobby-00, lobby-60 of site site-00), ", "and 26 more: they may each send checked_in")
	expect(t, lines[2], "and 26 more: they may each send checked_out")
}

func TestWarnings_AreReportedBesideProblems(t *testing.T) {
	for name, content := range map[string]string{
		"of an integration": "integrations:\n- {name: a, timeZone: Mars}\n- {name: b, rejectMode: code}\n",
		"of the whole":      "defaults: {timeZone: Mars}\nintegrations:\n- {name: b, rejectMode: code}\n",
	} {
		s, err := Load(environ(withFile(t, content, "a", "b")...), nil)
		if err == nil {
			err = s.NonFatal
		}
		expect(t, err.Error(), `timeZone: must be a time zone`)
		expect(t, strings.Join(s.Warnings.Lines(), "\n"), "integration b: no test visit has confirmed")
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

func TestConfig_EachProblemNamesTheLineOfItsField(t *testing.T) {
	const file = `integrations:
- name: a
  site: hq
  kindAliases:
    came.in: checked_in
    came: nothing
  fallbacks:
    timeout:
      visitorText: x
      decision: perhaps
  deciders:
  - name: x
  - name: y
    condition: company
  responses:
    reject: {}
`
	text := invalid(t, withFile(t, file, "a")...)
	expect(t, text, "i.yaml:6: integration a: kindAliases.came: ", "i.yaml:10: integration a: fallbacks.timeout.decision: ", "i.yaml:14: integration a: deciders[1].condition: ", "i.yaml:16: integration a: responses.reject: ")

	// In JSON, and where the field stands in what is merged or is not there at all.
	expect(t, invalid(t, withFile(t, "{\"integrations\": [\n{\"name\": \"a\",\n\"timeZone\": \"Mars\"}]}", "a")...), "i.yaml:3: integration a: timeZone: ")
	expect(t, invalid(t, withFile(t, "integrations:\n- &x {name: a}\n- <<: *x\n  name: b\n  deciders: [{shadow: true}]\n", "a", "b")...), "i.yaml:5: integration b: deciders[0].name: is required")
	expect(t, invalid(t, withFile(t, "integrations:\n- {name: a}\n- {name: b}\n-\n  site: foo\n", "a", "b")...), "i.yaml:5: integrations[2]: name: is required")

	var node yaml.Node
	if err := yaml.Load([]byte("a.b:\n  c: 1\na:\n  b:\n    c: [1,\n      2]\n"), &node); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]int{"a.b.c": 2, "a.b": 1, "a.c": 4, "a": 3, "x": 1, "": 1, "a.b.c[7]": 2} {
		if got := lineOf(node.Content[0], field); got != want {
			t.Errorf("%q is in line %d, want %d", field, got, want)
		}
	}
}
