package quarantine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestShape_HasKeysAndNoValue(t *testing.T) {
	for body, want := range map[string]string{
		``:        "nothing",
		`hello`:   "not JSON",
		`[1,"x"]`: "JSON without keys",
		`"x"`:     "JSON without keys",
		`{"event":"x","visitor":{"lastName":"Quillfeather"},"answers":[{"q":1},{"q":2}]}`: "answers, answers[].q, event, visitor, visitor.lastName",
		`{"Anna Quillfeather":1}`:                     "(a key that is not the name of a field)",
		`{"+41795550199":1,"p5551234":2}`:             "(a key that is not the name of a field)",
		`{"a":1} trailing`:                            "a and then something that is not JSON",
		`{"a":{"b":`:                                  "a, a.b and then something that is not JSON",
		`{"a":{"b":{"c":{"d":{"e":{"f":{"g":1}}}}}}}`: "a, a.b, a.b.c, a.b.c.d, a.b.c.d.e",
		strings.Repeat("[", 5000):                     "not JSON",
	} {
		if got := ShapeOf(&visit.Quarantined{Body: []byte(body)}); got != want {
			t.Errorf("%.60s is %q, want %q", body, got, want)
		}
	}
	if got := ShapeOf(&visit.Quarantined{Body: []byte("x"), ContentEncoding: "gzip"}); got != "encoded data" {
		t.Errorf("what is compressed is %q", got)
	}
	if got := ShapeOf(&visit.Quarantined{Body: make([]byte, maxShapeBody+1)}); got != "more than 64 KiB" {
		t.Errorf("what is large is %q", got)
	}
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, `,"k%c%c":1`, 'a'+i%26, 'a'+i/26%26)
	}
	if got := ShapeOf(&visit.Quarantined{Body: []byte("{" + b.String()[1:] + "}")}); !strings.HasSuffix(got, " and more") || len(got) > 400 {
		t.Errorf("what has many keys is %q", got)
	}
}

func TestGroups_AreByIntegrationAndReason(t *testing.T) {
	var g Groups
	at := time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)
	add := func(n int, integration string, reason visit.Reason, body string) {
		g.Add(uint64(n), &visit.Quarantined{Site: "hq", Integration: integration, Reason: reason, Received: at.Add(time.Duration(n) * time.Minute), Body: []byte(body), Cut: n == 3})
	}
	add(1, "lobby", visit.ReasonNotJSON, "x")
	add(2, "lobby", visit.ReasonUnknownEvent, `{"a":1}`)
	add(3, "lobby", visit.ReasonUnknownEvent, `{"b":1}`)
	add(4, "lobby", visit.ReasonUnknownEvent, `{"b":2}`)
	all := g.List()
	if g.Total != 4 || len(all) != 2 {
		t.Fatalf("%d messages in %d groups", g.Total, len(all))
	}
	if one := all[0]; one.Count != 3 || one.Cut != 1 || one.Newest != 4 || !one.First.Equal(at.Add(2*time.Minute)) || one.Shapes[0] != (Shape{"b", 2}) {
		t.Errorf("the first is %+v", one)
	}
}

func TestGroups_AreBounded(t *testing.T) {
	var g Groups
	for i := range 10 * maxGroups {
		g.Add(uint64(i), &visit.Quarantined{Site: "hq", Integration: fmt.Sprint("i", i), Body: []byte(fmt.Sprintf(`{"k%d":1}`, i))})
	}
	if len(g.List()) != maxGroups || g.Total != 10*maxGroups {
		t.Errorf("%d groups of %d messages", len(g.List()), g.Total)
	}
}
