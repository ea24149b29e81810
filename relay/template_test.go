package relay

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

func TestTemplate_Fill(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		fields   map[string]any
		decision visit.Decision
		want     string
	}{
		{"the default acceptance", DefaultAccept.fields, visit.Decision{Verdict: visit.Accept, VisitorText: "Hi", AdminNote: "ok"}, `{"adminNotes":"ok","code":"SUCCESS","visitorNotes":"Hi"}`},
		{"texts that are missing are left out", DefaultAccept.fields, visit.Decision{Verdict: visit.Accept}, `{"code":"SUCCESS"}`},
		{"the reference within a text", DefaultReject.fields, visit.Decision{Verdict: visit.Reject, VisitorText: "Ref {ref}"}, `{"code":"REJECTED","message":"Ref K7Q2M","visitorNotes":"Ref K7Q2M"}`},
		{"a decider's text cannot break the body", map[string]any{"m": "{visitorText}"}, visit.Decision{VisitorText: "\"},\n\\</script>"}, `{"m":"\"},\n\\\u003c/script\u003e"}`},
		{"a decider's text is not a template", map[string]any{"m": "{visitorText}"}, visit.Decision{VisitorText: "{adminNote}", AdminNote: "secret"}, `{"m":"{adminNote}"}`},
		{"a decider cannot forge the code", DefaultAccept.fields, visit.Decision{Verdict: visit.Accept, Pass: map[string]json.RawMessage{"code": json.RawMessage(`"X"`), "zone": json.RawMessage(`"B"`)}}, `{"code":"SUCCESS","zone":"B"}`},
		{"a decider cannot forge the code in other letters", DefaultAccept.fields, visit.Decision{Verdict: visit.Accept, Pass: pass("CODE", `"X"`, "Code", `"X"`, "visitornotes", `"X"`, "zone", `"B"`)}, `{"code":"SUCCESS","zone":"B"}`},
		{"two deciders' fields of one name", DefaultAccept.fields, visit.Decision{Verdict: visit.Accept, Pass: pass("Zone", `"A"`, "zone", `"B"`)}, `{"Zone":"A","code":"SUCCESS"}`},
		{"what a screen would obey", DefaultAccept.fields, visit.Decision{Verdict: visit.Accept, VisitorText: "a\x1b\u202eb\nc", AdminNote: "\x00"}, `{"code":"SUCCESS","visitorNotes":"ab\nc"}`},
		{"a rejected visitor gets no extra fields", DefaultReject.fields, visit.Decision{Verdict: visit.Reject, VisitorText: "No", Pass: map[string]json.RawMessage{"zone": json.RawMessage(`"B"`)}}, `{"code":"REJECTED","message":"No","visitorNotes":"No"}`},
		{"nested values", map[string]any{"a": map[string]any{"b": []any{"{ref}", 1, true, nil}}, "empty": ""}, visit.Decision{}, `{"a":{"b":["K7Q2M",1,true,null]},"empty":""}`},
		{"a text that comes out blank", map[string]any{"code": "X", "m": "{adminNote} {decider}", "own": " "}, visit.Decision{AdminNote: "\u200b"}, `{"code":"X","own":" "}`},
		{"the decider's name", map[string]any{"by": "asked {decider}"}, visit.Decision{Decider: "watchlist"}, `{"by":"asked watchlist"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			template, err := NewTemplate(c.fields)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(template.fill(c.decision, "K7Q2M")); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func pass(pairs ...string) map[string]json.RawMessage {
	fields := map[string]json.RawMessage{}
	for i := 0; i < len(pairs); i += 2 {
		fields[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return fields
}

func TestNewTemplate_NamesWhatIsInvalid(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string]map[string]any{
		"empty":                   {},
		"an unknown placeholder":  {"m": "{visitor}"},
		"a stray brace":           {"m": "{visitorText}}"},
		"a nested fault":          {"a": map[string]any{"b": []any{"{x}"}}},
		"a value JSON cannot say": {"m": make(chan int)},
		"no number":               {"m": math.NaN()},
	} {
		if _, err := NewTemplate(fields); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
