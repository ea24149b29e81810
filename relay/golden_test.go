package relay

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/internal/schematest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/contract"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Each sample of what Sine sends stands beside the contract's JSON that it must
// become.
func TestGolden_SamplesBecomeMessages(t *testing.T) {
	t.Parallel()
	samples, err := filepath.Glob("testdata/*.json")
	if err != nil || len(samples) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	schemas, err := schematest.Compile(contract.Files())
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range samples {
		name := strings.TrimSuffix(filepath.Base(sample), ".json")
		t.Run(name, func(t *testing.T) {
			body, err := os.ReadFile(sample)
			if err != nil {
				t.Fatal(err)
			}
			r := newRig(t)
			w := r.post("/sine/lobby", string(body))
			if w.Code != 200 {
				t.Errorf("answered %d: %s", w.Code, w.Body)
			}
			sent := append(r.broker.asked, r.broker.published...)
			if len(sent) != 1 {
				t.Fatalf("%d messages were sent, want 1", len(sent))
			}
			validate(t, schemas, sent[0]) // readable changes it
			compareGolden(t, "testdata/"+name+".golden", readable(t, sent[0], body))
		})
	}
}

// validate judges a message by the contract's schemas.
func validate(t *testing.T, schemas *schematest.Schemas, m visit.Message) {
	t.Helper()
	name := map[visit.Root]string{visit.RootAsk: "check-in-request", visit.RootEvent: "event", visit.RootDecision: "decision-record", visit.RootQuarantine: "quarantined"}[m.Root]
	header := maps.Clone(m.Header)
	if m.Root == visit.RootAsk {
		header[visit.HeaderTimeout] = []string{"2500"} // the broker adds it
	}
	if err := schemas.ValidateMessage(name, header, m.Data); err != nil {
		t.Error(err)
	}
}

// readable shows a message's subject, headers and data, with what differs from
// run to run replaced, and the source cut out once it has been compared.
func readable(t *testing.T, m visit.Message, body []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	out.WriteString(m.Subject + "\n")
	data := m.Data
	if m.Root == visit.RootQuarantine {
		if !bytes.Equal(data, body) {
			t.Error("the quarantined body is not what was sent")
		}
	} else {
		if !bytes.HasSuffix(data, append([]byte(`,"source":`), append(body, '}')...)) {
			t.Errorf("the source is not what was sent, byte for byte, at the end: %s", data)
		}
		data = append(bytes.TrimSuffix(data, append([]byte(`,"source":`), append(body, '}')...)), '}')
	}
	header, err := json.MarshalIndent(m.Header, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	out.Write(header)
	out.WriteByte('\n')
	if m.Root != visit.RootQuarantine {
		if err := json.Indent(&out, data, "", "  "); err != nil {
			t.Fatal(err)
		}
	}
	text := out.String()
	for _, varying := range []string{visit.HeaderRequestID, visit.HeaderReceived} {
		for _, v := range m.Header[varying] {
			text = strings.ReplaceAll(text, v, "<"+varying+">")
		}
	}
	var fields struct{ Received time.Time }
	if json.Unmarshal(data, &fields) == nil && !fields.Received.IsZero() {
		text = strings.ReplaceAll(text, fields.Received.Format(time.RFC3339Nano), "<"+visit.HeaderReceived+">")
	}
	return []byte(text + "\n")
}

func compareGolden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from %s; -update rewrites it.\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}
