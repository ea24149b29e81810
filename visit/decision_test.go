package visit_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sine-relay/sine-relay/visit"
)

func TestDecision_IsParsed(t *testing.T) {
	d, err := visit.ParseDecision([]byte(`{"decision":"accept","visitorText":"Hi","adminNote":"decision","pass":{"zone":"B","decision":"x"},"added":1}`))
	if err != nil || d.Verdict != visit.Accept || d.VisitorText != "Hi" || string(d.Pass["zone"]) != `"B"` {
		t.Errorf("%+v %v", d, err)
	}
}

// Only an acceptance needs everything right.
func TestDecision_AReadableRejectionIsValid(t *testing.T) {
	const readable = "See reception."
	long := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct{ data, text string }{
		"nothing beside it":        {`{"decision":"reject","visitorText":"See reception."}`, readable},
		"in capitals":              {`{"decision":"REJECT","visitorText":"See reception."}`, readable},
		"blanks around it":         {`{"decision":" Reject\n","visitorText":"See reception."}`, readable},
		"no text":                  {`{"decision":"reject"}`, ""},
		"a text without a shape":   {`{"decision":"reject","visitorText":"\u200b\ufeff"}`, ""},
		"a blank text":             {`{"decision":"reject","visitorText":" \n\t"}`, ""},
		"a text of another type":   {`{"decision":"reject","visitorText":5}`, ""},
		"a note of another type":   {`{"decision":"reject","visitorText":"See reception.","adminNote":{}}`, readable},
		"an extra of another type": {`{"decision":"reject","pass":[],"visitorText":"See reception."}`, readable},
		"an impossible extra":      {`{"decision":"reject","pass":{"a":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `},"visitorText":"See reception."}`, readable},
		"no UTF-8":                 {"{\"decision\":\"reject\",\"adminNote\":\"\xff\",\"visitorText\":\"See reception.\"}", readable},
		"no UTF-8 in the text":     {"{\"decision\":\"reject\",\"visitorText\":\"See \xff\"}", "See \ufffd"},
		"an acceptance before it":  {`{"decision":"accept","decision":"reject"}`, ""},
		"an acceptance after it":   {`{"Decision":"reject","decision":"accept"}`, ""},
		"two of it":                {`{"decision":"reject","decision":"reject"}`, ""},
		"another verdict as well":  {`{"decision":"perhaps","decision":"reject"}`, ""},
		"its end cut off":          {`{"visitorText":"See reception.","decision":"reject"`, readable},
		"something behind it":      {`{"decision":"reject"} {`, ""},
		"a long text":              {`{"decision":"reject","visitorText":"` + long + `"}`, ""},
		"a long note":              {`{"adminNote":"` + long + `","decision":"reject","visitorText":"See reception."}`, readable},
	} {
		d, err := visit.ParseDecision([]byte(c.data))
		if err != nil || d.Verdict != visit.Reject || d.VisitorText != c.text {
			t.Errorf("%s: %q %q, %v", name, d.Verdict, d.VisitorText, err)
		}
	}
}

// What is passed on to Sine means the same to every reader.
func TestDecision_IsSanitized(t *testing.T) {
	d, err := visit.ParseDecision([]byte(`{"decision":"accept","visitorText":"a\u0000b\u001b[2J\u202ec\r\nd\te\ud800","adminNote":"\u0007 ",` +
		`"decider":"list\u009b","version":"1.2.3","pass":{"n":12345678901234567890.10,"list":["\u202dx",null,true,{"deep":{"er":"\ud800"}}],"<b>":"\u2028"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if d.VisitorText != "ab[2Jc\nd e\ufffd" || d.AdminNote != "" || d.Decider != "list" || d.Version != "1.2.3" {
		t.Errorf("%+v", d)
	}
	for name, want := range map[string]string{"n": "12345678901234567890.10", "list": "[\"x\",null,true,{\"deep\":{\"er\":\"\ufffd\"}}]", "<b>": `"\n"`} {
		if got := string(d.Pass[name]); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if d, err := visit.ParseDecision([]byte(`{"decision":"accept","pass":{` + manyFields(64) + `,"pass":null}}`)); err == nil {
		t.Errorf("65 fields: %d", len(d.Pass))
	}
	if d, err := visit.ParseDecision([]byte(`{"decision":"accept","pass":{` + manyFields(64) + `}}`)); err != nil || len(d.Pass) != 64 {
		t.Errorf("64 fields: %d, %v", len(d.Pass), err)
	}
	if d, err := visit.ParseDecision([]byte(`{"decision":"accept","pass":null}`)); err != nil || d.Pass != nil {
		t.Errorf("no fields: %v, %v", d.Pass, err)
	}
}

func manyFields(n int) string {
	fields := make([]string, n)
	for i := range fields {
		fields[i] = fmt.Sprintf(`"f%d":1`, i)
	}
	return strings.Join(fields, ",")
}

// Whatever a decider sends, what is passed on is JSON without doubles, and a
// rejection stays one.
func FuzzParseDecision(f *testing.F) {
	for _, seed := range []string{
		`{"decision":"accept","visitorText":"Hi","pass":{"zone":"B","list":[1,{"a":null}]}}`, `{"decision":"reject","pass":5}`,
		`{"decision":"accept","pass":{"a":1,"A":2}}`, `{"Decision":"reject","decision":"accept"}`, `{"decision":"accept","visitorText":"\ud800"}`, `{"decision`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := visit.ParseDecision(data)
		if err != nil {
			return
		}
		encoded, err := json.Marshal(d)
		if err != nil || !utf8.Valid(encoded) {
			t.Fatalf("%q does not encode: %v", encoded, err)
		}
		// Escapes may make it longer than is read.
		if again, err := visit.ParseDecision(encoded); len(encoded) <= visit.MaxDecisionSize && (err != nil || again.Verdict != d.Verdict || again.VisitorText != d.VisitorText) {
			t.Fatalf("%q was read as %+v, %v", encoded, again, err)
		}
	})
}

// JetStream's acknowledgement must never be taken for a rejection: a stream that
// covered the ask subjects would then answer for the deciders.
func TestDecision_AnInvalidOneIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"a stream's acknowledgement": {`{"stream":"VISITORS","seq":7}`, `"decision" is missing`},
		"an empty reply":             {``, "not a JSON object"},
		"prose":                      {`Zmark`, "not a JSON object"},
		"an acceptance in capitals":  {`{"decision":"ACCEPT"}`, `must be "accept" or "reject"`},
		"another verdict":            {`{"decision":"Zmark"}`, `must be "accept" or "reject"`},
		"a verdict of another type":  {`{"decision":true}`, `"decision" has the wrong JSON type`},
		"an extra of another type":   {`{"decision":"accept","pass":"Zmark"}`, `"pass" has the wrong JSON type`},
		"two, spelled differently":   {`{"decision":"accept","pass":{},"deci\u0073ion":"accept"}`, `"decision" is duplicated`},
		"two, in other letters":      {`{"Decision":"accept","decision":"accept"}`, `"decision" is duplicated`},
		"a text twice":               {`{"decision":"accept","visitorText":"Zmark","VisitorText":"b"}`, `"visitorText" is duplicated`},
		"a text of another type":     {`{"decision":"accept","visitorText":["Zmark"]}`, `"visitorText" has the wrong JSON type`},
		"half a reply":               {`{"decision":"accept","visitorText":"Zmark"`, "not a JSON object"},
		"something behind it":        {`{"decision":"accept"} Zmark`, "not a JSON object"},
		"two replies":                {`{"decision":"accept"}{"decision":"reject"}`, "not a JSON object"},
		"no verdict":                 {`{"decision":null}`, `"decision" is missing`},
		"no UTF-8":                   {"{\"decision\":\"accept\",\"visitorText\":\"Zmark\xff\"}", "not valid UTF-8"},
		"no UTF-8 in an extra":       {"{\"decision\":\"accept\",\"pass\":{\"Zmark\":\"\xc3\x28\"}}", "not valid UTF-8"},
		"a long text":                {`{"decision":"accept","adminNote":"` + strings.Repeat("Zmark", 2000) + `"}`, `"adminNote" must be at most 8192 bytes, got 10000`},
		"a deep extra":               {`{"decision":"accept","pass":{"Zmark":` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + `}}`, `"pass" must not be nested deeper than 8`},
		"a name twice in an extra":   {`{"decision":"accept","pass":{"a":[{"Zmark":1,"zMARK":2}]}}`, "a duplicate name"},
		"an extra twice":             {`{"decision":"accept","pass":{"Zmark":1,"Zmark":2}}`, "a duplicate name"},
		"an unprintable name":        {`{"decision":"accept","pass":{"co\u0000de":1}}`, "non-printable character"},
		"half a surrogate in a name": {`{"decision":"accept","pass":{"co\ud800de":1}}`, "non-printable character"},
		"an empty name":              {`{"decision":"accept","pass":{"":1}}`, "empty or longer than 128 bytes"},
		"a number beyond all":        {`{"decision":"accept","pass":{"Zmark":1e999}}`, "out of range"},
		"too many extras":            {`{"decision":"accept","pass":{` + manyFields(65) + `}}`, "more than 64 fields"},
		"a list":                     {`["accept"]`, "not a JSON object"},
		"a huge reply":               {`{"decision":"accept","visitorText":"` + strings.Repeat("Zmark", 20000) + `"}`, "must be at most 16384 bytes"},
	} {
		_, err := visit.ParseDecision([]byte(c.data))
		if !errors.Is(err, visit.ErrInvalidDecision) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "Zmark") {
			t.Errorf("%s: the error quotes the reply: %v", name, err)
		}
	}
}
