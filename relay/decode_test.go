package relay

import (
	"cmp"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

func TestDecode_WhatSineMayLeaveOutOrSendOddly(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	r := newRig(t)
	r.post("/sine/lobby", `{"payload":{"payload":{"event":"signin_after"}}}`)
	if r.settledAs(resultQuarantined) != 1 {
		t.Error("it was not quarantined")
	}
}

func TestDecode_TheLargestMessageIsWhatWasChecked(t *testing.T) {
	t.Parallel()
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

func TestEventID_IsTheSameForRepeatsOnly(t *testing.T) {
	t.Parallel()
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
		{"a pass and a date to the minute", `{"event":"signin_after","date":"2026-11-18T21:42Z","data":{"id":"p1"}}`, `{"event":"signin_after","date":"2026-11-18T21:42Z","data":{"id":"p1"}}`, true},
		{"a pass and a date that is not read", `{"event":"signin_after","date":"n/a","data":{"id":"p1"}}`, `{"event":"signin_after","date":"n/a","data":{"id":"p1"}}`, false},
		{"a date that stands for none", `{"event":"signin_after","date":"0001-01-01T00:00:00Z","data":{"id":"p1"}}`, `{"event":"signin_after","date":"0001-01-01T00:00:00Z","data":{"id":"p1"}}`, false},
		{"the beginning of the epoch", `{"event":"signin_after","date":"1970-01-01T00:00:00Z","data":{"firstName":"A"}}`, `{"event":"signin_after","date":"1970-01-01T00:00:00Z","data":{"firstName":"A"}}`, false},
		{"the end of all days", `{"event":"signin_after","date":"9999-12-31T23:59:59Z","data":{"firstName":"A"}}`, `{"event":"signin_after","date":"9999-12-31T23:59:59Z","data":{"firstName":"A"}}`, false},
		{"a day", `{"event":"signin_after","date":"2026-11-18"}`, `{"event":"signin_after","date":"2026-11-18"}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if same := publish(c.a) == publish(c.b); same != c.same {
				t.Errorf("same id: %v, want %v", same, c.same)
			}
		})
	}
}

func TestDate_CheckInRequestAndEventHaveTheTimeZoneOfTheSite(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
	r := newRig(t, func(cfg *Config) { cfg.Integrations[0].Deciders = []Decider{{Name: "a"}, {Name: "b"}} })
	r.broker.ask = behaviours{"a": says(visit.Accept, " \u200b"), "b": says(visit.Accept, "Welcome")}.ask
	if w := r.post("/sine/lobby", checkInBody); !strings.Contains(w.Body.String(), `"visitorNotes":"Welcome"`) {
		t.Errorf("told %s", w.Body)
	}
}
