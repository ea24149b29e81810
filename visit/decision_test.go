package visit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

func TestDecisions(t *testing.T) {
	d, err := visit.ParseDecision([]byte(`{"decision":"accept","visitorText":"Hi","adminNote":"decision","pass":{"zone":"B","decision":"x"},"added":1}`))
	if err != nil || d.Verdict != visit.Accept || d.VisitorText != "Hi" || string(d.Pass["zone"]) != `"B"` {
		t.Errorf("%+v %v", d, err)
	}
}

// JetStream's acknowledgement must never be taken for a rejection: a stream that
// covered the ask subjects would then answer for the deciders.
func TestWhatIsNoDecision(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"a stream's acknowledgement": {`{"stream":"VISITORS","seq":7}`, `"decision" is missing`},
		"an empty reply":             {``, "not a JSON object"},
		"prose":                      {`Zmark`, "not a JSON object"},
		"another verdict":            {`{"decision":"Zmark"}`, `neither "accept" nor "reject"`},
		"a verdict of another type":  {`{"decision":true}`, `"decision" has the wrong JSON type`},
		"an extra of another type":   {`{"decision":"accept","pass":"Zmark"}`, `"pass" has the wrong JSON type`},
		"two verdicts":               {`{"decision":"reject","decision":"accept"}`, `"decision" is there more than once`},
		"two, spelled differently":   {`{"decision":"accept","pass":{},"deci\u0073ion":"accept"}`, `"decision" is there more than once`},
		"two, in other letters":      {`{"Decision":"reject","decision":"accept"}`, `"decision" is there more than once`},
		"a list":                     {`["accept"]`, "not a JSON object"},
		"a huge reply":               {`{"decision":"accept","visitorText":"` + strings.Repeat("Zmark", 20000) + `"}`, "at most 65536 are read"},
	} {
		_, err := visit.ParseDecision([]byte(c.data))
		if !errors.Is(err, visit.ErrNotADecision) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "Zmark") {
			t.Errorf("%s: the error quotes the reply: %v", name, err)
		}
	}
}
