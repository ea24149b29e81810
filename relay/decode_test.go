package relay

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

func TestDecode_WhatSineMayLeaveOutOrSendOddly(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"data is null", `{"event":"signin_after","data":null}`, `"person":{}`},
		{"data is missing", `{"event":"signin_after"}`, `"person":{}`},
		{"data is a text", `{"event":"signin_after","data":"x"}`, `"person":{}`},
		{"host is a text", `{"event":"signin_after","data":{"firstName":"Ada","host":"Dominic"}}`, `"person":{"firstName":"Ada"}`},
		{"names are null", `{"event":"signin_after","data":{"firstName":null,"lastName":"L"}}`, `"person":{"lastName":"L"}`},
		{"a name is a number", `{"event":"signin_after","data":{"firstName":7,"lastName":"L"}}`, `"person":{"lastName":"L"}`},
		{"a mobile is a number", `{"event":"signin_after","data":{"mobile":61400000000}}`, `"mobile":"61400000000"`},
		{"answers are null", `{"event":"signin_after","data":{"formResponses":null}}`, `"person":{}`},
		{"an answer has no value", `{"event":"signin_after","data":{"formResponses":{"responses":[{"label":"A"}]}}}`, `"answers":[{"label":"A","value":""}]`},
		{"an answer is a list", `{"event":"signin_after","data":{"formResponses":{"responses":[{"value":["a","b"]}]}}}`, `"answers":[{"value":"[\"a\",\"b\"]"}]`},
		{"an answer is no object", `{"event":"signin_after","data":{"formResponses":{"responses":[7,{"value":"b"}]}}}`, `{"value":"b"}`},
		{"an id is a large number", `{"event":"signin_after","data":{"id":1844674407370955161599}}`, `"visit":{"value":"1844674407370955161599","basis":"sine-id"}`},
		{"an id in the pass", `{"event":"signin_after","data":{"pass":{"id":"p-1"}}}`, `"visit":{"value":"p-1","basis":"sine-id"}`},
		{"an id beside the event is not the visit's", `{"event":"signin_after","id":"x","data":{}}`, `"visit":{"basis":"none"}`},
		{"wrapped in payload", `{"payload":{"event":"signin_after","data":{"firstName":"Ada"}}}`, `"firstName":"Ada"`},
		{"wrapped in body", `{"body":{"event":"signin_after","data":{"firstName":"Ada"}}}`, `"firstName":"Ada"`},
		{"wrapped, with an event around it", `{"event":"webhook","payload":{"event":"signin_after","data":{"firstName":"Ada"}}}`, `"firstName":"Ada"`},
		{"an expired pass", `{"event":"signout_after","data":{"status":"Auto-Expired"}}`, `"cause":"expired"`},
		{"a pass checked out", `{"event":"signout_after","data":{"status":"CHECKED_OUT"}}`, `"cause":"checked_out"`},
		{"half a surrogate pair", `{"event":"signin_after","data":{"firstName":"Ada \ud83d"}}`, `"firstName":"Ada ` + "\ufffd" + `"`},
		{"escaped letters", `{"event":"signin_after","data":{"firstName":"\u0041da \"A\" \\"}}`, `"firstName":"Ada \"A\" \\"`},
		{"escaped names", `{"\u0065vent":"signin_after","d\u0061ta":{"first\u004eame":"Ada","\ud83d":1}}`, `"firstName":"Ada"`},
		{"a field twice", `{"event":"signin_after","data":{"firstName":"Eve","firstName":"Ada"}}`, `"firstName":"Ada"`},
		{"responses are an object", `{"event":"signin_after","data":{"formResponses":{"responses":{"value":"x"}}}}`, `"person":{}`},
		{"white space around it", " \n{\"event\":\"signin_after\"}\r\n", "\"source\": \n{\"event\":\"signin_after\"}\r\n}"},
		{"signs that encoders escape", `{"event":"signin_after","data":{"company":"<A&B> ` + "\u2028" + `"}}`, `"company":"<A&B> ` + "\u2028" + `"}}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			if w := r.post("/sine/lobby", c.body); w.Code != 200 || r.settledAs(resultStored) != 1 {
				t.Fatalf("answered %d %s", w.Code, w.Body)
			}
			if data := string(r.broker.published[0].Data); !strings.Contains(data, c.want) || !strings.Contains(data, c.body) {
				t.Errorf("%s\nwant in it %s\nand the body as sent", data, c.want)
			}
		})
	}
}

func TestDecode_AWrappedWrapperIsNotUnderstood(t *testing.T) {
	_, reason := decode([]byte(`{"payload":{"payload":{"event":"signin_after"}}}`), 32)
	if reason != "" {
		t.Errorf("reason %q", reason)
	}
	r := newRig(t)
	r.post("/sine/lobby", `{"payload":{"payload":{"event":"signin_after"}}}`)
	if r.settledAs(resultQuarantined) != 1 {
		t.Error("it was not quarantined")
	}
}

// Programs write these where they have no id; two visitors who leave at the same
// clock time would be one.
func TestDecode_PlaceholdersAreNotIDs(t *testing.T) {
	for _, id := range []string{`0`, `-1`, `"0"`, `"null"`, `"undefined"`, `true`, `false`, `null`, `""`, `"00000000-0000-0000-0000-000000000000"`, `{}`} {
		d, reason := decode([]byte(`{"event":"signin_after","data":{"id":`+id+`}}`), 32)
		if got := d.passID(); reason != "" || got != "" {
			t.Errorf("%s was taken for the id %q", id, got)
		}
	}
}

func TestDecode_TheLargestMessageIsWhatWasChecked(t *testing.T) {
	for name, element := range map[string]string{
		"empty answers": `{},`, "numbers": `1,`, "nulls": `null,`, "lists": `[],`, "labels": `{"label":"x"},`,
		"values": `{"value":1},`, "quotes": `{"value":["\""]},`, "line separators": `{"value":"` + "\u2028" + `"},`,
	} {
		const limit = 64 << 10
		body := `{"event":"signin_after","data":{"formResponses":{"responses":[`
		body += strings.TrimSuffix(strings.Repeat(element, (limit-len(body)-10)/len(element)), ",") + `]}}}`
		r := newRig(t)
		r.post("/sine/lobby", body)
		if size := len(r.broker.published[0].Data); size > 3*len(body) {
			t.Errorf("%s: %d bytes became %d", name, len(body), size)
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
		if _, reason := decode(body, 1<<20); reason != want {
			t.Errorf("depth %d: %q", depth, reason)
		}
		if err := json.Unmarshal(body, new(any)); (err == nil) != (want == "") {
			t.Errorf("depth %d: encoding/json says %v", depth, err)
		}
	}
}

func TestEventID_IsTheSameForRepeatsOnly(t *testing.T) {
	publish := func(body string) string {
		r := newRig(t)
		r.post("/sine/lobby", body)
		return r.broker.published[0].ID
	}
	const withID = `{"event":"signin_after","date":"2026-11-18T21:42:31Z","data":{"id":"p1","firstName":"A"}}`
	for _, c := range []struct {
		name, a, b string
		same       bool
	}{
		{"a repeat of the same bytes", checkedIn, checkedIn, true},
		{"another person at the same second", checkedIn, strings.Replace(checkedIn, "Ada", "Bob", 1), false},
		{"the same person at another second", checkedIn, strings.Replace(checkedIn, ":31", ":32", 1), false},
		{"a repeat for a pass", withID, withID, true},
		{"the same pass and date, with a field added", withID, strings.Replace(withID, `"A"`, `"A","x":1`, 1), false},
		{"another person of the same pass and second", withID, strings.Replace(withID, `"A"`, `"B"`, 1), false},
		{"the same pass, checked out", withID, strings.Replace(withID, "signin", "signout", 1), false},
		{"the same pass at another time", withID, strings.Replace(withID, ":31", ":32", 1), false},
		{"no date", `{"event":"signin_after","data":{"firstName":"A"}}`, `{"event":"signin_after","data":{"firstName":"A"}}`, false},
		{"a date to the minute", `{"event":"signin_after","date":"2026-11-18T21:42Z"}`, `{"event":"signin_after","date":"2026-11-18T21:42Z"}`, false},
		{"a day", `{"event":"signin_after","date":"2026-11-18"}`, `{"event":"signin_after","date":"2026-11-18"}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if same := publish(c.a) == publish(c.b); same != c.same {
				t.Errorf("same id: %v, want %v", same, c.same)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, body := range samples(f) {
		f.Add(body)
	}
	f.Add([]byte(`{"event":"signin_after","data":{"id":1e400,"formResponses":{"responses":[null,[],{}]}}}`))
	in := &Integration{Name: "lobby", Site: "hq"}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, reason := decode(body, 32)
		if reason != "" {
			return
		}
		e := visit.Event{Kind: in.kindOf(d.event), Pass: d.pass, Source: body, Cause: d.cause()}
		e.Visit = visit.NewVisitKey(d.passID())
		e.Time = readDate(d.date, time.UTC, time.Unix(0, 0)).time
		data, err := visit.MarshalEvent(&e)
		if err != nil {
			t.Fatalf("what was decoded does not encode: %v", err)
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

func samples(t testing.TB) [][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
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

func TestDate_TimeBasisAndPrecisionFollowItsText(t *testing.T) {
	adelaide, err := time.LoadLocation("Australia/Adelaide")
	if err != nil {
		t.Fatal(err)
	}
	received := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	for _, c := range []struct {
		name, raw string
		want      string
		basis     visit.TimeBasis
		precise   bool
	}{
		{"ISO with Z", `"2026-11-18T21:42:31.000Z"`, "2026-11-18T21:42:31Z", visit.TimeFromSine, true},
		{"ISO with microseconds", `"2026-11-18T21:42:31.123456Z"`, "2026-11-18T21:42:31.123456Z", visit.TimeFromSine, true},
		{"ISO with an offset", `"2026-11-19T17:30:00+10:30"`, "2026-11-19T07:00:00Z", visit.TimeFromSine, true},
		{"an offset without a colon", `"2026-11-19T17:30:00+1030"`, "2026-11-19T07:00:00Z", visit.TimeFromSine, true},
		{"a space for the T", `"2026-11-19 17:30:00+10:30"`, "2026-11-19T07:00:00Z", visit.TimeFromSine, true},
		{"no zone", `"2026-11-19T17:30:00"`, "2026-11-19T07:00:00Z", visit.TimeInAssumedZone, true},
		{"no zone and a fraction", `"2026-11-19T17:30:00.5"`, "2026-11-19T07:00:00.5Z", visit.TimeInAssumedZone, true},
		{"minutes only", `"2026-11-19T17:30Z"`, "2026-11-19T17:30:00Z", visit.TimeFromSine, false},
		{"minutes without a zone", `"2026-11-19T17:30"`, "2026-11-19T07:00:00Z", visit.TimeInAssumedZone, false},
		{"epoch milliseconds", `1795038151000`, "2026-11-18T21:42:31Z", visit.TimeFromSine, true},
		{"epoch milliseconds as text", `"1795038151250"`, "2026-11-18T21:42:31.25Z", visit.TimeFromSine, true},
		{"epoch seconds", `1795038151`, "2026-11-18T21:42:31Z", visit.TimeFromSine, true},
		{"epoch seconds with a fraction", `1795038151.25`, "2026-11-18T21:42:31.25Z", visit.TimeFromSine, true},
		{"a number that is no date", `12`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"not a number", `"NaN"`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"an infinite number", `1e999`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"a zone a day away", `"2026-03-01T10:00:00+24:00"`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"a hexadecimal number", `"0x1p31"`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"a day", `"2026-11-18"`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"prose", `"yesterday"`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"null", `null`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"nothing", ``, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"an object", `{"iso":"2026"}`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"a boolean", `true`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			sent, err := readDelivery(`{"date":`+cmp.Or(c.raw, "null")+`}`, 32)
			if err != nil {
				t.Fatal(err)
			}
			d := readDate(sent.date, adelaide, received)
			if got := d.time.UTC().Format(time.RFC3339Nano); got != c.want || d.basis != c.basis || d.precise != c.precise {
				t.Errorf("%s %s precise=%v, want %s %s precise=%v", got, d.basis, d.precise, c.want, c.basis, c.precise)
			}
		})
	}
}

func TestDate_CheckInRequestAndEventHaveTheTimeZoneOfTheSite(t *testing.T) {
	for zone, want := range map[string]string{"Australia/Adelaide": "08:12", "": "21:42"} {
		r := newRig(t, func(cfg *Config) {
			if zone != "" {
				location, err := time.LoadLocation(zone)
				if err != nil {
					t.Fatal(err)
				}
				cfg.Integrations[0].Zone = location
			}
		})
		r.post("/sine/lobby", checkInBody)
		r.post("/sine/lobby", checkedIn)
		for what, m := range map[string]visit.Message{"question": r.broker.asked[0], "event": r.broker.published[0]} {
			var said visit.Origin
			if err := json.Unmarshal(m.Data, &said); err != nil {
				t.Fatal(err)
			}
			at, err := said.LocalTime()
			if got := at.Format("15:04"); err != nil || got != want || said.TimeZone != cmp.Or(zone, "UTC") {
				t.Errorf("in the %s it is %s in %q, %v; want %s", what, got, said.TimeZone, err, want)
			}
		}
	}
}

// Nobody who is turned away is shown nothing, wherever the text comes from.
func TestTemplate_ABlankTextIsReplaced(t *testing.T) {
	for _, blank := range []string{"", " ", "\n\t", "\u00a0\u3000", "\u200b\u2060\ufeff", "\x00\x1b", "\u202e"} {
		fallback := func(f policy.Fallback) func(*Config) {
			return func(cfg *Config) {
				cfg.Integrations[0].Policy = policy.Policy{RejectText: blank, Fallbacks: map[policy.Situation]policy.Fallback{policy.NoDecider: f}}
			}
		}
		for name, c := range map[string]struct {
			change  func(*Config)
			setup   func(*rig)
			message string
			notes   string
		}{
			"a decider's": {func(cfg *Config) { cfg.Integrations[0].Policy.RejectText = "Ask your host" },
				decide(visit.Decision{Verdict: visit.Reject, VisitorText: blank, AdminNote: blank}), "Ask your host", ""},
			"a decider's and the integration's": {func(cfg *Config) { cfg.Integrations[0].Policy.RejectText = blank },
				decide(visit.Decision{Verdict: visit.Reject, VisitorText: blank}), "Please see reception.", ""},
			"a fallback's": {fallback(policy.Fallback{Verdict: visit.Reject, VisitorText: blank, AdminNote: blank}),
				failAsk(visit.ErrNoDecider), "Please see reception.", "no decider answers"},
			"a decider's fallback's": {func(cfg *Config) {
				fallback(policy.Fallback{Verdict: visit.Reject, VisitorText: "Ask your host"})(cfg)
				own := map[policy.Situation]policy.Fallback{policy.NoDecider: {VisitorText: blank, AdminNote: blank}}
				cfg.Integrations[0].Deciders = []Decider{{Name: "watchlist", Fallbacks: own}}
			}, failAsk(visit.ErrNoDecider), "Ask your host", "no decider answers"},
			"a lockdown's": {nil, func(r *rig) { r.orders.give(visit.Order{Kind: visit.OrderLockdown, Site: "hq", Message: blank}) },
				"closed to visitors", "lockdown"},
		} {
			r := newRig(t, func(cfg *Config) {
				if c.change != nil {
					c.change(cfg)
				}
			})
			c.setup(r)
			w := r.post("/sine/lobby", checkInBody)
			var told map[string]string
			if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil {
				t.Fatal(err)
			}
			_, noted := told["adminNotes"]
			if told["code"] != "REJECTED" || !strings.Contains(told["message"], c.message) || noted != (c.notes != "") || !strings.Contains(told["adminNotes"], c.notes) {
				t.Errorf("%q as %s: %s", blank, name, w.Body)
			}
		}
	}
}

// Of those who accept, the first who says something is shown.
func TestTemplate_ABlankWelcomeHidesNoOther(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Integrations[0].Deciders = []Decider{{Name: "a"}, {Name: "b"}} })
	r.broker.ask = behaviours{"a": says(visit.Accept, " \u200b"), "b": says(visit.Accept, "Welcome")}.ask
	if w := r.post("/sine/lobby", checkInBody); !strings.Contains(w.Body.String(), `"visitorNotes":"Welcome"`) {
		t.Errorf("told %s", w.Body)
	}
}
