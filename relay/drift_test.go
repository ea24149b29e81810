package relay

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// visitor is a body of one of many visitors; change replaces parts of it.
func visitor(n int, event string, change ...string) string {
	body := fmt.Sprintf(`{"event":%q,"date":"2026-11-18T21:42:31.%03dZ","data":{"id":"v%d","firstName":"Ada%d","lastName":"Lovelace%d","company":"Acme %d","badgeColour":"red","formResponses":{"responses":[{"label":"Why","value":"x"}]}}}`, event, n, n, n, n, n)
	return strings.NewReplacer(change...).Replace(body)
}

// come posts so many visitors, from a number on.
func (r *rig) come(from, visitors int, event string, change ...string) {
	for n := from; n < from+visitors; n++ {
		r.post("/sine/lobby", visitor(n, event, change...))
	}
}

var renamedCompany = []string{`"company"`, `"zzFirma"`}

func TestDrift_ARenameIsHeardWithinTenDeliveries(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.come(0, 60, "signin_after")
	r.come(0, 60, "signin_before")
	if text := string(gather(t, r)); strings.Contains(text, "sine_relay_field_drift{") || len(r.DriftLines()) > 0 {
		t.Fatalf("drifts before: %v", r.DriftLines())
	}
	r.come(100, 10, "signin_after", renamedCompany...)
	text := string(gather(t, r))
	for _, want := range []string{
		`sine_relay_field_drift{field="company",integration="lobby",kind="checked_in"} 1`,
		`sine_relay_field_missing_bodies{field="company",integration="lobby",kind="checked_in"} 5`,
		`sine_relay_field_missing_since_timestamp_seconds{field="company",integration="lobby",kind="checked_in"} 1.`,
		`sine_relay_field_missing_probability{field="company",integration="lobby",kind="checked_in"} 2.979`,
		`sine_relay_field_found_timestamp_seconds{field="company",integration="lobby",kind="checked_in"} 1.`,
		`sine_relay_fields_total{field="company",integration="lobby",result="found"} 120`,
		`sine_relay_fields_total{field="company",integration="lobby",result="missing"} 10`,
		`sine_relay_unknown_keys_total{integration="lobby"} 2`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics do not have %s", want)
		}
	}
	if strings.Count(text, "sine_relay_field_drift{") != 1 || strings.Count(text, "sine_relay_field_missing_bodies{") != 1 || strings.Contains(text, `field="person.email"`) {
		t.Error("a field drifts that does not, or one is counted that never came")
	}
	if lines := r.DriftLines(); len(lines) != 1 || !strings.Contains(lines[0], "integration lobby: company is missing from the last 10 bodies of kind checked_in, and was there before; new since then: /data/zzFirma") {
		t.Errorf("the details say %q", lines)
	}
	log := r.log.String()
	for want, times := range map[string]int{
		`"msg":"field drift","integration":"lobby","kind":"checked_in","field":"company","missing":5,"new_keys":["/data/zzFirma"]`: 1,
		`"msg":"unknown keys","integration":"lobby","keys":["/data/badgeColour"]`:                                                  1,
		`"msg":"unknown keys","integration":"lobby","keys":["/data/zzFirma"]`:                                                      1,
	} {
		if strings.Count(log, want) != times {
			t.Errorf("the log does not have %s %d times", want, times)
		}
	}
}

// Without it, every event would have the time of its receipt, and nobody would know.
func TestDrift_OfADateThatCannotBeReadIsHeardWithinTenDeliveries(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.come(0, 60, "signin_after")
	other := []string{"2026-11-18T21:42:31", "18/11/2026 21:42:31"}
	r.come(100, 10, "signin_after", other...)
	if lines := r.DriftLines(); len(lines) != 1 || !strings.Contains(lines[0], "date is missing from the last 10 bodies of kind checked_in, and was there before; new since then: /date (cannot be read)") {
		t.Fatalf("the details say %q", lines)
	}
	if text := string(gather(t, r)); !strings.Contains(text, `sine_relay_fields_total{field="date",integration="lobby",result="missing"} 10`) {
		t.Error("it is not counted")
	}
	f, problems := fields.Compile(fields.Spec{DateFormats: []string{"%d/%m/%Y %H:%M:%SZ"}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if err := r.reload(Integration{Name: "lobby", Site: "hq", Keys: []Key{NewKey("first", testKey)}, Fields: f}); err != nil {
		t.Fatal(err)
	}
	r.come(200, 1, "signin_after", other...)
	if lines := r.DriftLines(); len(lines) > 0 {
		t.Errorf("it goes on with the format configured: %v", lines)
	}
}

func TestDrift_EndsOnceTheFieldIsFound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.come(0, 60, "signin_after")
	r.come(100, 10, "signin_after", renamedCompany...)
	if len(r.DriftLines()) != 1 {
		t.Fatal("no drift")
	}
	// The same places again: what is known stays.
	if err := r.reload(Integration{Name: "lobby", Site: "hq", Keys: []Key{NewKey("first", testKey)}, Fields: compiled(t, nil)}); err != nil {
		t.Fatal(err)
	}
	if len(r.DriftLines()) != 1 {
		t.Error("a reload has ended it")
	}
	r.come(200, 1, "signin_after")
	if len(r.DriftLines()) != 0 || !strings.Contains(r.log.String(), `"msg":"field drift ended","integration":"lobby","kind":"checked_in","field":"company"`) {
		t.Errorf("it goes on: %v", r.DriftLines())
	}
}

func compiled(t *testing.T, places map[fields.Field][]string) *fields.Fields {
	t.Helper()
	f, problems := fields.Compile(fields.Spec{Places: places})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return f
}

// What mends it is a place of the field in the configuration.
func TestDrift_EndsOnceTheNewPlaceIsConfigured(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.come(0, 60, "signin_after")
	r.come(100, 10, "signin_after", renamedCompany...)
	err := r.reload(Integration{Name: "lobby", Site: "hq", Keys: []Key{NewKey("first", testKey)}, Fields: compiled(t, map[fields.Field][]string{fields.Company: {"/data/zzFirma"}})})
	if err != nil || len(r.DriftLines()) != 0 {
		t.Errorf("%v, %v", err, r.DriftLines())
	}
	r.come(200, 40, "signin_after", renamedCompany...)
	if text := string(gather(t, r)); !strings.Contains(text, `sine_relay_fields_total{field="company",integration="lobby",result="found"} 100`) {
		t.Error("the counter does not go on")
	}
	// The same again, from the place that is configured to the one that was before.
	r.come(300, 10, "signin_after")
	if lines := r.DriftLines(); len(lines) != 1 || !strings.Contains(lines[0], "company") {
		t.Errorf("another place is not the configured one: %v", lines)
	}
}

// What says nothing of what Sine sends is left out.
func TestDrift_LeavesOutRepeatsTestsAndWhatNobodyDid(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.come(0, 60, "signout_after")
	for range 20 {
		r.come(100, 1, "signout_after", renamedCompany...)
	}
	r.come(200, 20, "signout_after", `"company"`, `"status":"PASS_EXPIRED","zzFirma"`)
	r.come(300, 20, "signout_after", `"company"`, `"status":"geofence exit","zzFirma"`)
	for n := range 20 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/sine/lobby", strings.NewReader(visitor(400+n, "signout_after", renamedCompany...)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("x-sine-auth", testKey)
		req.Header.Set(visit.HeaderSynthetic, "true")
		r.Synthetic().ServeHTTP(discarding{http.Header{}}, req)
	}
	if lines := r.DriftLines(); len(lines) != 0 {
		t.Errorf("drifts: %v", lines)
	}
	if len(r.broker.published) < 120 {
		t.Errorf("only %d were published", len(r.broker.published))
	}
	r.come(500, 10, "signout_after", renamedCompany...)
	if lines := r.DriftLines(); len(lines) != 1 {
		t.Errorf("does not drift: %v", lines)
	}
}

// A text that a place selects by is as good as a key.
func TestDrift_AnotherLabelInAListIsHeard(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(cfg *Config) {
		cfg.Integrations[0].Fields = compiled(t, map[fields.Field][]string{fields.Company: {"/data/items/name=Company/value"}})
	})
	list := func(label string) []string {
		return []string{`"badgeColour":"red"`, `"items":[{"name":"Purpose","value":"x"},{"name":"` + label + `","value":"Acme"}]`, `"company":`, `"other":`}
	}
	r.come(0, 60, "signin_after", list("Company")...)
	r.come(100, 10, "signin_after", list("Firma")...)
	if lines := r.DriftLines(); len(lines) != 1 || !strings.Contains(lines[0], "company is missing") || !strings.Contains(lines[0], "/data/items/name=Firma") {
		t.Errorf("the details say %q", lines)
	}
}

// Sine may rename a field everywhere.
func TestDrift_LinesAreBounded(t *testing.T) {
	t.Parallel()
	var all []Integration
	for n := range 30 {
		all = append(all, Integration{Name: fmt.Sprintf("lobby-%02d", n), Keys: []Key{NewKey("k", testKey)}})
	}
	r := newRig(t, func(cfg *Config) { cfg.Integrations = all })
	for n := range 60 {
		for _, in := range all {
			var change []string
			if n >= 50 {
				change = renamedCompany
			}
			r.post("/sine/"+in.Name, visitor(n, "signin_after", change...))
		}
	}
	if lines := r.DriftLines(); len(lines) != maxDriftLines+1 || !slices.IsSorted(lines[:maxDriftLines]) || lines[maxDriftLines] != "10 more fields are missing that were there before" {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}

// Visitors who serve as keys, in one body or in many, among keys that are none or alone.
func TestPrivacy_KeysThatAreVisitorsAreNotNamed(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]func(n int) string{
		"a name with a space":         func(int) string { return `"Zmark Lovelace":{"here":true}` },
		"an address":                  func(int) string { return `"zmark@example.com":1` },
		"a number":                    func(n int) string { return `"zmark-0412345678":1` },
		"another name each time":      func(n int) string { return fmt.Sprintf(`"Zmark%c%c":1`, 'a'+n/26, 'a'+n%26) },
		"a surname beside an address": func(int) string { return `"Zmark":1,"x@example.com":1` },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.broker.ask = func(context.Context, visit.Message) (visit.Decision, error) {
				return visit.Decision{Verdict: visit.Accept}, nil
			}
			r.come(0, 40, "signin_after")
			for n := range 40 {
				body := visitor(100+n, "signin_after", `"company"`, key(n)+`,"zzFirma"`)
				r.post("/sine/lobby", strings.Replace(body, `"data":{`, `"ZmarkTop `+fmt.Sprint(n)+`":1,"data":{`, 1))
			}
			all := r.log.String() + string(gather(t, r)) + strings.Join(r.DriftLines(), "")
			if strings.Contains(strings.ToLower(all), "zmark") {
				t.Errorf("a visitor is named: %s", all)
			}
			if !strings.Contains(all, `"field drift"`) {
				t.Error("the rename beside it was not heard")
			}
		})
	}
}
