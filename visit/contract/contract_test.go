package contract_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/internal/schematest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/contract"
)

func compiled(t *testing.T, files fs.FS) *schematest.Schemas {
	t.Helper()
	s, err := schematest.Compile(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchemas_AreNamedByTheirFiles(t *testing.T) {
	t.Parallel()
	all := contract.Schemas()
	for _, s := range all {
		if s.ID != visit.SchemaRoot+s.Name+".schema.json" || !strings.HasSuffix(s.Description, ".") || !json.Valid(s.Text) {
			t.Errorf("%s: %s, %q", s.Name, s.ID, s.Description)
		}
	}
	for _, id := range []string{visit.EventSchema, visit.RecordSchema} {
		if !slices.ContainsFunc(all, func(s contract.Schema) bool { return s.ID == id }) {
			t.Errorf("messages name %s, which does not exist", id)
		}
	}
}

func TestExamples_AreValid(t *testing.T) {
	t.Parallel()
	if err := validExamples(contract.Files(), contract.Files()); err != nil {
		t.Error(err)
	}
	for _, name := range contract.Messages() {
		if len(contract.Examples(name)) == 0 {
			t.Errorf("there are no examples of %s", name)
		}
	}
	if got := contract.Examples("no such message"); got != nil {
		t.Errorf("examples of nothing: %v", got)
	}
}

// golden are the messages of the golden files of package visit, by the beginnings of
// their names.
var golden = map[string]string{
	"event": "event", "correction": "event", "request": "check-in-request", "decision": "decision", "record": "decision-record",
	"order": "order", "lift": "lift", "quarantine": "quarantined", "audit": "audit",
}

func TestGolden_MessagesOfVisitAreValid(t *testing.T) {
	t.Parallel()
	schemas := compiled(t, contract.Files())
	files, err := filepath.Glob("../testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		beginning, _, _ := strings.Cut(name, "-")
		if of := golden[beginning]; !strings.HasSuffix(name, "-message") {
			err = schemas.Validate(of, text)
		} else {
			err = schemas.ValidateHeaders(of+"-headers", headersOf(t, text, of))
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// headersOf reads the golden file of a message. That of a check-in request has not been
// sent yet, by which it gets its last header.
func headersOf(t *testing.T, text []byte, of string) map[string][]string {
	t.Helper()
	var message struct{ Header map[string][]string }
	if err := json.Unmarshal(text, &message); err != nil {
		t.Fatal(err)
	}
	if of == "check-in-request" {
		message.Header[visit.HeaderTimeout] = []string{"2500"}
	}
	return message.Header
}

// What a schema forbids it forbids.
func TestSchemas_RefuseWhatIsNotAMessage(t *testing.T) {
	t.Parallel()
	schemas := compiled(t, contract.Files())
	for _, c := range []struct{ schema, data, want string }{
		{"decision", `{}`, "decision"},
		{"decision", `{"decision":"perhaps"}`, "/decision"},
		{"decision", `{"decision":"accept","visitorText":5}`, "/visitorText"},
		{"decision", `{"decision":"accept","pass":[]}`, "/pass"},
		{"order", `{"kind":"drill","site":"hq"}`, "/kind"},
		{"order", `{"kind":"override","site":"hq","reason":"x"}`, "until"},
		{"order", `{"kind":"lockdown","site":"hq.>"}`, "/site"},
		{"order", `{"kind":"lockdown","site":"hq","until":"soon"}`, "/until"},
		{"lift", `{"kind":"lockdown","site":"hq"}`, "lifts"},
		{"event", `{"id":"1"}`, "/id"},
		{"audit", `{"id":"1","time":"2026-11-18T21:42:31Z","action":"reveal","site":"hq.>","user":"ann","role":"reception"}`, "/site"},
		{"quarantined-headers", `{}`, visit.HeaderReason},
	} {
		if err := schemas.Validate(c.schema, []byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s as %s: %v, want something about %s", c.data, c.schema, err, c.want)
		}
	}
}

// Another version of the relay may send more than this one knows.
func TestSchemas_AreOpen(t *testing.T) {
	t.Parallel()
	schemas := compiled(t, contract.Files())
	for _, name := range contract.Messages() {
		for _, e := range contract.Examples(name) {
			var fields map[string]any
			if name == "quarantined" || json.Unmarshal(e.Payload, &fields) != nil {
				continue
			}
			fields["added"] = map[string]any{"x": []int{1}}
			for _, enumerated := range []string{"cause", "timeBasis", "situation", "action"} {
				if fields[enumerated] != nil {
					fields[enumerated] = "added"
				}
			}
			data, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			if err := schemas.Validate(name, data); err != nil {
				t.Errorf("%s: %v", data, err)
			}
		}
	}
}

func TestAsyncAPI_HasTheNamesOfTheInstallation(t *testing.T) {
	t.Parallel()
	standard, err := fs.ReadFile(contract.Files(), "asyncapi.json")
	if err != nil || string(contract.AsyncAPI(contract.Names{})) != string(standard) {
		t.Errorf("the document of an installation without names of its own is another: %v", err)
	}
	text := string(contract.AsyncAPI(contract.Names{
		SubjectPrefix: "acme.doors", EventStream: "DOOR_EVENTS", DecisionStream: "DOOR_DECISIONS", QuarantineStream: "DOOR_QUARANTINE", AuditStream: "DOOR_DESK", OrderBucket: "DOOR_ORDERS",
	}))
	if !json.Valid([]byte(text)) {
		t.Error("the document is not valid JSON")
	}
	for _, left := range []string{"visitors.v1", "VISITORS", "VISITOR_"} {
		if strings.Contains(text, left) {
			t.Errorf("%s is still in the document", left)
		}
	}
	for _, want := range []string{`"acme.doors.v1.event.{site}.{kind}"`, `"DOOR_EVENTS"`, `"DOOR_DECISIONS"`, `"DOOR_QUARANTINE"`, `"DOOR_DESK"`, `"DOOR_ORDERS"`, `"$KV.DOOR_ORDERS.{kind}.{scope}"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in the document", want)
		}
	}
}
