package fields

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Programs write these where they have no id; two visitors who leave at the same
// clock time would be one.
func TestDecode_PlaceholdersAreNotIDs(t *testing.T) {
	for _, id := range []string{`0`, `-1`, `"0"`, `"null"`, `"undefined"`, `true`, `false`, `null`, `""`, `"00000000-0000-0000-0000-000000000000"`, `{}`,
		`"n/a"`, `"N/A"`, `"nil"`, `"NaN"`, `"unknown"`, `"-"`, `"(null)"`, `"Pending"`, `" new "`, `"false"`, `"true"`, `"00"`, `0.0`, `-0`,
		`"00000000000000000000000000000000"`, `"{00000000-0000-0000-0000-000000000000}"`, `"FFFFFFFF-ffff-ffff-ffff-ffffffffffff"`} {
		d, reason := Default.Read([]byte(`{"event":"signin_after","data":{"id":`+id+`}}`), 32)
		if got := d.VisitID; reason != "" || got != "" {
			t.Errorf("%s was taken for the id %q", id, got)
		}
	}
}

func TestDecode_DepthIsCountedOutsideTexts(t *testing.T) {
	for _, c := range []struct {
		name, body string
		deep       bool
	}{
		{"as deep as allowed", `{"a":[{}]}`, false},
		{"one too deep", `{"a":[{"b":[]}]}`, true},
		{"brackets in a text", `{"a":"[[[[[["}`, false},
		{"an escaped quote", `{"a":"\"[[[[["}`, false},
		{"an escaped backslash before the end", `{"a":"\\","b":[[[[]]]]}`, true},
		{"many beside one another", `[[],[],[],[],[]]`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := tooDeep([]byte(c.body), 3); got != c.deep {
				t.Errorf("tooDeep = %v", got)
			}
		})
	}
}

// A setting beyond what encoding/json reads would store what no subscriber can read.
func TestDecode_NoSettingAllowsMoreDepthThanSubscribersRead(t *testing.T) {
	for depth, want := range map[int]visit.Reason{deepest: "", deepest + 1: visit.ReasonTooDeep} {
		body := []byte(`{"event":"signin_after","x":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`)
		if _, reason := Default.Read(body, 1<<20); reason != want {
			t.Errorf("depth %d: %q", depth, reason)
		}
		if err := json.Unmarshal(body, new(any)); (err == nil) != (want == "") {
			t.Errorf("depth %d: encoding/json says %v", depth, err)
		}
	}
}

func samples(t testing.TB) [][]byte {
	t.Helper()
	files, err := filepath.Glob("../testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	var bodies [][]byte
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	return bodies
}

// What is read can be encoded, and is encoded as it was sent.
func FuzzRead(f *testing.F) {
	for _, body := range samples(f) {
		f.Add(body)
	}
	f.Add([]byte(`{"event":"signin_after","data":{"id":1e400,"formResponses":{"responses":[null,[],{},["a",1],["b"]]}}}`))
	f.Add([]byte(`{"event":"signin_after","data":"{\"answers\":{\"a\":{\"b\":1}},\"visitor\":{\"name\":\"Ada\"}}"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		b, reason := Default.Read(body, 32)
		if reason != "" {
			return
		}
		e := visit.Event{Kind: visit.KindCheckedIn, Pass: b.Pass, Source: body, Cause: b.Cause}
		e.Visit = visit.NewVisitKey(b.VisitID)
		e.Time = Default.ReadDate(b.Date, time.UTC, time.Unix(0, 0)).Time
		data, err := visit.MarshalEvent(&e)
		if err != nil {
			t.Fatalf("what was read does not encode: %v", err)
		}
		var back visit.Event
		if err := back.UnmarshalJSON(data); err != nil {
			t.Fatalf("what was encoded does not decode: %v", err)
		}
		if string(back.Source) != string(body) {
			t.Fatalf("the source came back as %q, was %q", back.Source, body)
		}
	})
}
