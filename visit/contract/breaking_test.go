package contract_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sine-relay/sine-relay/visit/contract"
)

// copied is a copy of the files of today, in which a test changes something.
func copied(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(contract.Files(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(contract.Files(), path)
		files[path] = &fstest.MapFile{Data: bytes.Clone(text)}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// change replaces a text in a file; it must be there.
func change(t *testing.T, files fstest.MapFS, file, old, now string) {
	t.Helper()
	text := string(files[file].Data)
	if !strings.Contains(text, old) {
		t.Fatalf("%s has no %q", file, old)
	}
	files[file].Data = []byte(strings.ReplaceAll(text, old, now))
}

// edit changes a schema as an object.
func edit(t *testing.T, files fstest.MapFS, file string, do func(schema map[string]any)) {
	t.Helper()
	schema, err := readJSON(files, file)
	if err != nil {
		t.Fatal(err)
	}
	do(schema)
	if files[file].Data, err = json.Marshal(schema); err != nil {
		t.Fatal(err)
	}
}

func properties(s map[string]any) map[string]any { return objectIn(s, "properties") }

// Each way of breaking those who rely on a release is found, and named.
func TestBreaking_DifferencesAreNamed(t *testing.T) {
	t.Parallel()
	const event, decision, record = "event.schema.json", "decision.schema.json", "decision-record.schema.json"
	for name, c := range map[string]struct {
		now  func(t *testing.T, today fstest.MapFS)
		want string
	}{
		"a field is removed": {func(t *testing.T, today fstest.MapFS) {
			edit(t, today, event, func(s map[string]any) { delete(properties(s), "company") })
		}, "event.company: the field was removed"},
		"a field of a definition is removed": {func(t *testing.T, today fstest.MapFS) {
			edit(t, today, event, func(s map[string]any) {
				delete(properties(objectIn(objectIn(s, "$defs"), "Host")), "group")
			})
		}, "event.host.group: the field was removed"},
		"a field is renamed": {func(t *testing.T, today fstest.MapFS) {
			change(t, today, record, `"tookMs"`, `"tookMillis"`)
		}, "decision-record.votes[].tookMs: the field was removed"},
		"a type changes": {func(t *testing.T, today fstest.MapFS) {
			edit(t, today, record, func(s map[string]any) { objectIn(properties(s), "tookMs")["type"] = "string" })
		}, `decision-record.tookMs: type changed from "number" to "string"`},
		"a format changes": {func(t *testing.T, today fstest.MapFS) {
			edit(t, today, event, func(s map[string]any) { delete(objectIn(properties(s), "time"), "format") })
		}, `event.time: format changed from "date-time" to nothing`},
		"a rule is added": {func(t *testing.T, today fstest.MapFS) {
			edit(t, today, event, func(s map[string]any) { objectIn(properties(s), "company")["maxLength"] = 5 })
		}, `event.company: maxLength changed from nothing to 5`},
		"a value is removed": {func(t *testing.T, today fstest.MapFS) {
			edit(t, today, event, func(s map[string]any) {
				objectIn(objectIn(s, "$defs"), "Cause")["anyOf"].([]any)[0].(map[string]any)["enum"] = []string{"checked_out", "unknown"}
			})
		}, `event.cause: the value "expired" was removed`},
		"a value of a closed enumeration is removed": {func(t *testing.T, today fstest.MapFS) {
			edit(t, today, decision, func(s map[string]any) { objectIn(objectIn(s, "$defs"), "Verdict")["enum"] = []string{"reject"} })
		}, `decision.decision: the value "accept" was removed`},
		"a value is added that older relays refuse": {func(t *testing.T, today fstest.MapFS) {
			edit(t, today, decision, func(s map[string]any) {
				objectIn(objectIn(s, "$defs"), "Verdict")["enum"] = []string{"accept", "wait", "reject"}
			})
		}, `decision.decision: the value "wait" was added to a closed enumeration`},
		"an enumeration is closed": {func(t *testing.T, today fstest.MapFS) {
			edit(t, today, event, func(s map[string]any) {
				cause := objectIn(objectIn(s, "$defs"), "Cause")
				cause["enum"] = []string{"checked_out", "expired", "unknown"}
				delete(cause, "anyOf")
			})
		}, "event.cause: the enumeration was closed or opened"},
		"a field becomes required": {func(t *testing.T, today fstest.MapFS) {
			edit(t, today, event, func(s map[string]any) { s["required"] = append(s["required"].([]any), "company") })
		}, "event.company: the field became required"},
		"a required field is added": {func(t *testing.T, today fstest.MapFS) {
			edit(t, today, event, func(s map[string]any) {
				properties(s)["badge"] = map[string]any{"type": "string"}
				s["required"] = append(s["required"].([]any), "badge")
			})
		}, "a message of the release is not as today's schema says: event, \"checked-in\": "},
		"a field is no longer required": {func(t *testing.T, today fstest.MapFS) {
			change(t, today, decision, "\"required\": [\n    \"decision\"\n  ]", `"required": []`)
		}, "decision.decision: the field is no longer required"},
		"further fields are refused": {func(t *testing.T, today fstest.MapFS) {
			edit(t, today, event, func(s map[string]any) { s["additionalProperties"] = false })
		}, "event: additionalProperties changed from true to false"},
		"an $id changes": {func(t *testing.T, today fstest.MapFS) {
			change(t, today, event, "/v1/event.schema.json", "/v1/events.schema.json")
		}, "event: the $id changed from "},
		"a schema is removed": {func(t *testing.T, today fstest.MapFS) { delete(today, event) }, "event: the schema cannot be read today: "},
		"a header is removed": {func(t *testing.T, today fstest.MapFS) {
			edit(t, today, "event-headers.schema.json", func(s map[string]any) { delete(properties(s), "ce-subject") })
		}, "event-headers.ce-subject: the field was removed"},
		"a subject changes": {func(t *testing.T, today fstest.MapFS) {
			change(t, today, "asyncapi.json", `"visitors.v1.event.{site}.{kind}"`, `"visitors.v1.events.{site}.{kind}"`)
		}, `channels.events: address changed from "visitors.v1.event.{site}.{kind}" to "visitors.v1.events.{site}.{kind}"`},
		"a channel is removed": {func(t *testing.T, today fstest.MapFS) {
			change(t, today, "asyncapi.json", `"quarantine": {`, `"kept": {`)
		}, "channels.quarantine: it was removed"},
		"a message is removed": {func(t *testing.T, today fstest.MapFS) {
			change(t, today, "asyncapi.json", `"lift": {`, `"lifted": {`)
		}, "channels.standingOrders: the message lift was removed"},
		"a message of today has another type of field": {func(t *testing.T, today fstest.MapFS) {
			change(t, today, "examples/event.json", `"company": "Analytical Engines"`, `"company": 7`)
		}, "a message of today is not as the release says: event, \"checked-in\": "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			today := copied(t)
			c.now(t, today)
			if found := breaking(contract.Files(), today); !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, c.want) }) {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}

// What the package of today does not read any more is found in the messages of the
// release.
func TestBreaking_MessagesThatAreNotReadAreNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, old, released, want string }{
		"a field is lost":         {"event", `"company"`, `"employer"`, `event, "checked-in": its field employer is lost`},
		"a field within is lost":  {"event", `"photoUrl"`, `"photo"`, `its field person.photo is lost`},
		"a field in a list":       {"decision-record", `"version"`, `"release"`, `its field votes.0.release is lost`},
		"a type changed":          {"decision-record", `"tookMs": 12.5`, `"tookMs": "12.5"`, `decision-record, "decided": json: `},
		"a name in other letters": {"event", `"company": "Analytical Engines"`, `"Company": "A", "company": "Analytical Engines"`, "its field Company is lost"},
		"a verdict is unknown":    {"decision", `"decision": "accept"`, `"decision": "yes"`, `decision, "accept": invalid decision`},
		"an order is invalid":     {"order", `"kind": "override"`, `"kind": "opening"`, `order, "override": the order's kind must be`},
		"a lift is invalid":       {"lift", `"lifts": "7Q2M3456789ABCDEFGHK"`, `"lifts": ""`, `lift, "lift": a lift requires the id`},
		"a header was renamed":    {"quarantined", "Sine-Relay-Reason", "Sine-Relay-Cause", "the header Sine-Relay-Reason is missing"},
		"a header changed":        {"event", "io.github.sine-relay.visit.checked_in.v1", "visit.checked_in", `its header ce-type: "visit.checked_in" became`},
		"a subject changed":       {"event", "visitors.v1.event.hq.checked_in", "visitors.v1.event.checked_in.hq", "its subject visitors.v1.event.checked_in.hq became"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			released := copied(t)
			change(t, released, "examples/"+c.file+".json", c.old, c.released)
			found := strings.Join(breaking(released, contract.Files()), "\n")
			if !strings.Contains(found, "is not read by package visit of today: ") || !strings.Contains(found, c.want) {
				t.Errorf("found %s, want %s", found, c.want)
			}
		})
	}
	released := copied(t)
	released["examples/badge.json"] = &fstest.MapFile{Data: []byte(`[{"name":"x"}]`)}
	if found := strings.Join(breaking(released, contract.Files()), "\n"); !strings.Contains(found, "package visit has no message badge") {
		t.Errorf("a message that does not exist any more: %s", found)
	}
}

// What v1 allows is no difference.
func TestBreaking_AdditionsAreNone(t *testing.T) {
	t.Parallel()
	if found := breaking(contract.Files(), contract.Files()); found != nil {
		t.Errorf("no difference: %q", found)
	}
	today := copied(t)
	edit(t, today, "event.schema.json", func(s map[string]any) {
		properties(s)["badge"] = map[string]any{"type": "string"}
		s["description"], objectIn(properties(s), "company")["description"] = "Another one.", "Another one."
	})
	change(t, today, "event.schema.json", `"left_area","unknown"`, `"left_area","moved","unknown"`)
	change(t, today, "examples/event.json", `"cause": "expired"`, `"cause": "moved", "badge": "B"`)
	edit(t, today, "event-headers.schema.json", func(s map[string]any) {
		properties(s)["Sine-Relay-Badge"] = map[string]any{"type": "string"}
	})
	today["badge.schema.json"] = &fstest.MapFile{Data: []byte(`{"$id":"https://example.com/badge.schema.json"}`)}
	if found := breaking(contract.Files(), today); found != nil {
		t.Errorf("additions: %q", found)
	}
}
