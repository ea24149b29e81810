package cli

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/contract"
)

// Whoever writes a decider on a laptop has no settings.
func TestContract_AsyncAPINeedsNoSettings(t *testing.T) {
	for prefix, environ := range map[string][]string{
		"visitors":   nil,
		"acme.doors": {"SINE_RELAY_SUBJECT_PREFIX=acme.doors", "SINE_RELAY_NATS_STORE_DIR=/nowhere", "SINE_RELAY_INTEGRATIONS_FILE=/nowhere"},
	} {
		code, out, errOut := run(t, environ, "contract", "asyncapi")
		var document struct {
			AsyncAPI string
			Channels map[string]struct{ Address *string }
		}
		if err := json.Unmarshal([]byte(out), &document); code != ExitDone || err != nil || document.AsyncAPI != "3.0.0" {
			t.Fatalf("ended with %d, %v: %s", code, err, errOut)
		}
		want := visit.Subjects{Prefix: prefix}.Event("{site}", "{kind}")
		if got := document.Channels["events"].Address; got == nil || *got != want {
			t.Errorf("events are on %v, want %s", got, want)
		}
	}
	code, out, errOut := run(t, []string{"SINE_RELAY_SUBJECT_PREFIX=a b"}, "contract", "asyncapi")
	if code != ExitUsage || out != "" || !strings.Contains(errOut, "SINE_RELAY_SUBJECT_PREFIX: must be") {
		t.Errorf("an invalid setting: ended with %d: %s", code, errOut)
	}
}

func TestContract_SchemasAreListedAndPrinted(t *testing.T) {
	code, out, errOut := run(t, nil, "contract", "schemas", "--output", "json")
	var list struct{ Schemas []schemaRow }
	if err := json.Unmarshal([]byte(out), &list); code != ExitDone || err != nil {
		t.Fatalf("ended with %d, %v: %s", code, err, errOut)
	}
	if !slices.ContainsFunc(list.Schemas, func(r schemaRow) bool { return r.Name == "event" && r.ID == visit.EventSchema && r.Description != "" }) {
		t.Errorf("the schema of events is not listed:\n%s", out)
	}
	_, table, _ := run(t, nil, "contract", "schemas")
	for _, s := range contract.Schemas() {
		if code, out, errOut := run(t, nil, "contract", "schema", s.Name); code != ExitDone || out != string(s.Text) {
			t.Errorf("%s: ended with %d: %s", s.Name, code, errOut)
		}
		if !strings.Contains(table, "\n"+s.Name+" ") {
			t.Errorf("%s is not in the table:\n%s", s.Name, table)
		}
	}
}

func TestContract_ExamplesAreListedAndPrinted(t *testing.T) {
	_, table, _ := run(t, nil, "contract", "examples")
	for _, args := range [][]string{{}, {"event"}} {
		code, out, errOut := run(t, nil, append([]string{"contract", "examples", "--output", "json"}, args...)...)
		var list struct{ Examples []exampleRow }
		if err := json.Unmarshal([]byte(out), &list); code != ExitDone || err != nil || len(list.Examples) == 0 {
			t.Fatalf("%q ended with %d, %v: %s", args, code, err, errOut)
		}
		for _, e := range list.Examples {
			if len(args) > 0 && e.Message != args[0] || len(e.Payload) == 0 || !strings.Contains(table, e.Summary) {
				t.Errorf("%q printed %s %s of %s", args, e.Name, e.Payload, e.Message)
			}
		}
	}
	if _, asked, _ := run(t, nil, "contract", "examples", "event"); !strings.Contains(asked, `"payload": {`) {
		t.Errorf("no bodies:\n%s", asked)
	}
}

func TestContract_NamesAreCompleted(t *testing.T) {
	for args, want := range map[string]string{"schema ": "event-headers\n", "examples ": "quarantined\n", "schema event ": ":4\n"} {
		code, out, _ := run(t, nil, append([]string{"__complete", "contract"}, strings.Split(args, " ")...)...)
		if code != ExitDone || !strings.Contains(out, want) || strings.HasPrefix(args, "schema event") && strings.Contains(out, "event") {
			t.Errorf("%scompletes to:\n%s", args, out)
		}
	}
}

func TestContract_UnknownNamesAreRefused(t *testing.T) {
	for args, want := range map[string]string{
		"contract":                  "sine-relay contract: a command is missing; there are asyncapi, schemas, schema, examples",
		"contract schema":           "sine-relay contract schema: needs <name>",
		"contract schema evnt":      `"evnt" is not a schema; there are audit, audit-headers, check-in-request,`,
		"contract examples evnt":    `"evnt" is not a message; there are audit, check-in-request,`,
		"contract examples event x": `has an argument too many: "x"`,
	} {
		if code, out, errOut := run(t, nil, strings.Fields(args)...); code != ExitUsage || out != "" || !strings.Contains(errOut, want) {
			t.Errorf("%s ended with %d: %s%s", args, code, out, errOut)
		}
	}
}
