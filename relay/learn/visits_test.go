package learn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/shape"
	"github.com/sine-relay/sine-relay/visit"
)

var noon = time.Date(2026, 11, 9, 12, 0, 5, 0, time.UTC)

// visits are bodies of a check-in request of Alan, and of two visits of Ada and one of
// Grace, each from check-in to check-out. The form has the names of the placeholders that it needs.
func visits(form string) (all []Body) {
	all = []Body{{Text: []byte(`{"event":"signin_before","date":"2026-11-09T11:00:00Z","data":{"firstName":"Alan","lastName":"Turing"}}`), Received: noon.Add(-time.Hour)}}
	for n, v := range []struct{ first, last, person, visit string }{
		{"Ada", "Lovelace", "p-1", "v-1"}, {"Ada", "Lovelace", "p-1", "v-2"}, {"Grace", "Hopper", "p-2", "v-3"},
	} {
		for m, event := range []string{"signin_after", "signout_after"} {
			received := noon.Add(time.Duration(2*n+m) * time.Hour)
			text := strings.NewReplacer("EVENT", event, "FIRST", v.first, "LAST", v.last, "PERSON", v.person, "VISIT", v.visit,
				"DELIVERY", fmt.Sprintf("d-%d", 2*n+m), "WALL", received.Add(-5*time.Second).Format("2006-01-02T15:04:05"),
				"EARLIER", received.Add(-5*time.Hour).Format("2006-01-02T15:04:05"),
				"DMY", received.Format("02/01/2006 15:04:05"), "STATUS", []string{"inside", "geofence exit"}[m]).Replace(form)
			all = append(all, Body{Text: []byte(text), Received: received})
		}
	}
	return all
}

func (r *Report) field(f fields.Field) Finding {
	for _, found := range r.Fields {
		if found.Field == f {
			return found
		}
	}
	return Finding{}
}

// What an id is good for is in its values, whatever it is called.
func TestAnalyse_IdsAreWhatTheirValuesSay(t *testing.T) {
	const body = `{"event":"EVENT","date":"WALLZ","data":{"firstName":"FIRST","lastName":"LAST",%s}}`
	for name, c := range map[string]struct {
		ids           string
		visit, person string // places that are proposed or found
		question      string
	}{
		"an id of the visit by a name that says nothing": {`"ref":"VISIT"`, "/data/ref", "", ""},
		"several that say nothing":                       {`"ref":"PERSON","key":"VISIT","no":"DELIVERY","code":"same"`, "/data/key", "", ""},
		"an id of the person where a visit's would be":   {`"id":"PERSON","key":"VISIT"`, "/data/key", "/data/id", ""},
		"an id of the person alone":                      {`"id":"PERSON"`, "", "/data/id", ""},
		"the same for everybody":                         {`"visitId":"site-1"`, "", "", "the same for different persons"},
		"one of each delivery":                           {`"visitId":"DELIVERY"`, "/data/visitId", "", "differs between check-in and check-out"},
		"one of each delivery by another name":           {`"besuchsnummer":"DELIVERY"`, "", "", ""},
		"both as they are called":                        {`"visitor":{"id":"PERSON"},"visitId":"VISIT"`, "/data/visitId", "/data/visitor/id", ""},
		"an id of the person that changes":               {`"besucher":{"kennung":"VISIT"},"passId":"VISIT"`, "/data/passId", "", ""},
	} {
		r := Analyse(visits(fmt.Sprintf(body, c.ids)), options())
		for f, want := range map[fields.Field]string{fields.Visit: c.visit, fields.PersonID: c.person} {
			found := r.field(f)
			if found.State == NotFound || found.State == Open {
				found.Places = nil
			}
			if got := strings.Join(found.Places, " "); got != want {
				t.Errorf("%s: %s is at %q, want %q\n%s", name, f, got, want, r.text())
			}
		}
		if got := strings.Join(r.Questions, "\n"); !strings.Contains(got, c.question) || c.question == "" && got != "" {
			t.Errorf("%s: questions %q, want %q", name, got, c.question)
		}
	}
}

// No two visits become one by what is proposed, though the ids are called anything.
func TestAnalyse_NoProposalMergesVisits(t *testing.T) {
	names := []string{"id", "visitId", "ref", "key", "passId", "visit", "number", "signin", "code"}
	for _, of := range []string{"PERSON", "DELIVERY", "same", "VISIT"} {
		for _, a := range names {
			for _, b := range names {
				form := fmt.Sprintf(`{"event":"EVENT","date":"WALLZ","data":{"firstName":"FIRST","lastName":"LAST","%s":"%s","x%s":"VISIT"}}`, a, of, b)
				bodies := visits(form)
				r := Analyse(bodies, options())
				if r.field(fields.Visit).State == Open {
					continue // it is said
				}
				f, problems := fields.Compile(r.Spec)
				if len(problems) > 0 {
					t.Fatal(problems)
				}
				keys := map[string][]string{}
				for i, body := range bodies {
					read, _ := f.Read(body.Text, 32)
					person := []string{"", "v-1", "v-1", "v-2", "v-2", "v-3", "v-3"}[i]
					if id := read.VisitID; id != "" && !slices.Contains(keys[id], person) {
						keys[id] = append(keys[id], person)
					}
				}
				for id, merged := range keys {
					if len(merged) > 1 {
						t.Errorf("%s %s and x%s: %s stands for %v\n%s", a, of, b, id, merged, r.text())
					}
				}
			}
		}
	}
}

// Dates without a zone, and with a day that could be a month, are settled by when the
// relay received them.
func TestAnalyse_DatesAreSettledByTheirReceipt(t *testing.T) {
	zurich, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		date     string
		zone     *time.Location
		received bool
		format   string
		dateZone string
		question string
	}{
		"with a zone":                    {"WALLZ", zurich, true, "", "", ""},
		"in UTC, as the site":            {"WALL", time.UTC, true, "", "", ""},
		"in UTC, and the site elsewhere": {"WALL", zurich, true, "", "UTC", ""},
		"in another zone":                {"EARLIER", time.UTC, true, "", "", "5h0m behind UTC"},
		"never received here":            {"WALL", time.UTC, false, "", "", "Dates have no zone"},
		"the day first":                  {"DMY", time.UTC, true, "%d/%m/%Y %H:%M:%S", "", ""},
		"the day or the month first":     {"DMY", time.UTC, false, "", "", "Is the day or the month first"},
		"unknown":                        {"week 17, Monday", time.UTC, true, "", "", "a format that is not known"},
	} {
		bodies := visits(`{"event":"EVENT","date":"` + c.date + `","data":{"visitId":"VISIT","firstName":"FIRST","lastName":"LAST"}}`)
		if !c.received {
			for i := range bodies {
				bodies[i].Received = time.Time{}
			}
		}
		o := options()
		o.Zone = c.zone
		r := Analyse(bodies, o)
		if got := strings.Join(r.Spec.DateFormats, " "); got != c.format {
			t.Errorf("%s: formats %q, want %q", name, got, c.format)
		}
		zone := ""
		if r.Why["dates.timeZone"] != "" {
			zone = r.Spec.DateZone.String()
		}
		if zone != c.dateZone {
			t.Errorf("%s: zone %q, want %q", name, zone, c.dateZone)
		}
		if got := strings.Join(r.Questions, "\n"); !strings.Contains(got, c.question) || c.question == "" && got != "" {
			t.Errorf("%s: questions %q, want %q", name, got, c.question)
		}
	}
}

func TestAnalyse_CausesAreWordsOfCheckOuts(t *testing.T) {
	for word, want := range map[string]string{
		"GEO": "left_area", "auto-expiry": "", "AUTO": "expired", "Front desk": "", "kiosk": "checked_out", "Zmark": "?", "by Zmark": "?", "timeout": "expired",
	} {
		r := Analyse([]Body{
			{Text: []byte(`{"event":"signin_after","data":{"firstName":"Ada","why":"x"}}`)},
			{Text: []byte(`{"event":"signout_after","data":{"firstName":"Ada","checkOutReason":"` + word + `"}}`)},
		}, options())
		got := ""
		for _, c := range r.Causes {
			got = string(c.Means)
		}
		asked := slices.ContainsFunc(r.Questions, func(q string) bool { return strings.Contains(q, "--values") })
		switch {
		case want == "?" && (got != "" || !asked), want != "?" && want != "" && got != want:
			t.Errorf("%q: %q, asked %v", word, got, asked)
		case strings.Contains(r.text(), "Zmark"):
			t.Errorf("a word is shown that may be anything:\n%s", r.text())
		}
	}
}

func TestAnalyse_NamesOfEventsStandForKinds(t *testing.T) {
	for events, want := range map[string]string{
		"visit.requested visit.arrived visit.left":             "check_in_request checked_in checked_out",
		"VisitorSigningInRequested VisitorSignedIn SIGNED_OUT": "check_in_request checked_in checked_out",
		"ASKING IN OUT":               "check_in_request checked_in checked_out",
		"arrived sign_in left":        "checked_in check_in_request checked_out",
		"sign_in sign_out":            "? checked_out",
		"anfrage anmeldung abmeldung": "check_in_request checked_in checked_out",
		"solicitud entrada salida":    "check_in_request checked_in checked_out",
	} {
		var bodies []Body
		for i, event := range strings.Fields(events) {
			bodies = append(bodies, Body{Text: fmt.Appendf(nil, `{"ereignis":%q,"n":%d,"data":{"firstName":"Ada"}}`, event, i)})
		}
		r := Analyse(bodies, options())
		var got []string
		for _, k := range r.Kinds {
			means := string(k.Means)
			if means == "" {
				means = "?"
			}
			got = append(got, means)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s\n%s", events, got, want, r.text())
		}
	}
	pinned := Analyse([]Body{{Text: []byte(`{"event":"xyzzy","data":{"firstName":"Ada"}}`), Kind: visit.KindCheckedOut}}, options())
	if len(pinned.Kinds) != 1 || pinned.Kinds[0].Means != visit.KindCheckedOut {
		t.Errorf("a URL that names the kind:\n%s", pinned.text())
	}
}

// What a body has is proposed once, and what cannot be read is counted.
func TestAnalyse_CountsWhatItReads(t *testing.T) {
	one := []byte(`{"event":"signin_after","data":{"firstName":"Ada"}}`)
	r := Analyse([]Body{{Text: one}, {Text: one}, {Text: []byte("{")}, {Text: []byte("\xff")}, {Text: []byte(`"[["`)}, {Text: nil}}, options())
	if r.Bodies != 2 || r.Repeated != 1 || r.Unread[visit.ReasonNotJSON] != 2 || r.Unread[visit.ReasonNotUTF8] != 1 {
		t.Errorf("%+v", r)
	}
	many := make([]Body, MaxBodies+50)
	for i := range many {
		many[i] = Body{Text: fmt.Appendf(nil, `{"event":"signin_after","n":%d}`, i), Received: noon.Add(time.Duration(i) * time.Second)}
	}
	if r := Analyse(many, options()); r.Bodies != MaxBodies {
		t.Errorf("%d bodies were read, want %d", r.Bodies, MaxBodies)
	}
	if r := Analyse(nil, options()); r.Bodies != 0 || len(r.Kinds) > 0 {
		t.Errorf("of nothing: %+v", r)
	}
}

// What a relay has captured shows where fields are, and nothing about their values.
func TestCaptured_ShowsWhereFieldsAre(t *testing.T) {
	text := `{"ereignis":"Zmark","event":"anfrage","zeitpunkt":"2026-11-18T21:42:31Z","besucher":{"vorname":"Zmark","nachname":"Zmark","email":"zmark@example.com","firma":"Zmark"},` +
		`"gastgeber":null,"da":true,"n":17,"besuch":{"nummer":7},"fragen":[{"frage":"Zmark?","antwort":"ja"},{"frage":"Zmark?","antwort":null}]}`
	line := func(msg, integration, body string) string {
		all, err := json.Marshal(map[string]any{"msg": msg, "integration": integration, "shape": shape.Of(nil, []byte(body))})
		if err != nil {
			t.Fatal(err)
		}
		return string(all) + "\n"
	}
	log := "no JSON\n" + line("webhook", "lobby", text) + line("capture", "dock", text) + line("capture", "lobby", "not JSON") + line("capture", "lobby", text)
	bodies, err := Captured([]byte(log), "lobby")
	if err != nil || len(bodies) != 1 {
		t.Fatalf("%d bodies, %v", len(bodies), err)
	}
	r := Analyse(bodies, options())
	for f, want := range map[fields.Field]string{
		fields.FirstName: "/besucher/vorname", fields.LastName: "/besucher/nachname", fields.Email: "/besucher/email", fields.Company: "/besucher/firma",
		fields.Visit: "/besuch/nummer", fields.Answers: "/fragen", fields.Event: "/event",
	} {
		if got := r.field(f); strings.Join(got.Places, " ") != want || f != fields.Answers && len(got.Looks) > 0 && f != fields.Event {
			t.Errorf("%s: %+v, want %s", f, got, want)
		}
	}
	if len(r.Kinds) != 1 || r.Kinds[0].Means != visit.KindCheckInRequest || strings.Contains(r.text(), "Zmark") {
		t.Errorf("%s", r.text())
	}
	if _, err := Captured(bytes.Repeat([]byte("x"), 2<<20), "lobby"); err == nil {
		t.Error("a line without end was read")
	}
}
