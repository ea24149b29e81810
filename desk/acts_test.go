package desk

import (
	"context"
	"encoding/csv"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

func TestReveal_OnlyReceptionOfTheSiteGetsTheNameAndItIsRecorded(t *testing.T) {
	for who, allowed := range map[string]map[string]bool{
		"vera": {}, "nemo": {}, "rita": {"hq": true}, "olga": {"hq": true}, "otto": {"hq": true, "plant": true},
	} {
		b := busy()
		b.audits = nil
		f := newFixture(t, b)
		f.read(t)
		for _, e := range b.events {
			a := f.post(t, who, "/visit/reveal", "site", e.Site, "event", e.ID, "at", unix(e.Received))
			if shown := strings.Contains(a.text, markedFirst); shown != allowed[e.Site] {
				t.Errorf("%s had the name at %s shown: %v, %d", who, e.Site, shown, a.status)
			}
			if !allowed[e.Site] && a.status != http.StatusNotFound && a.status != http.StatusForbidden {
				t.Errorf("%s got %d", who, a.status)
			}
		}
		audits := b.audited()
		if len(audits) != len(allowed) {
			t.Errorf("%s has %d records, want %d: %+v", who, len(audits), len(allowed), audits)
		}
		for _, a := range audits {
			if a.User != who || a.Action != visit.ActionReveal || !allowed[a.Site] || a.Role == "" || a.Subject == "" {
				t.Errorf("%s has the record %+v", who, a)
			}
		}
	}
}

// What is recorded has the form of an id: no text of somebody gets into it.
func TestReveal_OfWhatIsNoIdIsNotRecorded(t *testing.T) {
	b := stored()
	f := newFixture(t, b)
	f.read(t)
	if a := f.post(t, "rita", "/visit/reveal", "site", "hq", "event", markedLast, "at", "1"); a.status != http.StatusNotFound || len(b.audited()) != 0 {
		t.Errorf("it got %d, and the records are %+v", a.status, b.audited())
	}
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func TestReveal_FragmentHasTheNameAlone(t *testing.T) {
	b := stored()
	f := newFixture(t, b)
	f.read(t)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, f.server.URL+"/visit/reveal",
		strings.NewReader("site=hq&at=1&event="+b.events[0].ID))
	for name, value := range map[string]string{
		"X-User": "rita", "X-Groups": people["rita"], "Content-Type": "application/x-www-form-urlencoded", "Sine-Relay-Desk": "fragment",
	} {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text := make([]byte, 4096)
	n, _ := resp.Body.Read(text)
	if s := string(text[:n]); !strings.HasPrefix(s, `<p class="revealed">`) || !strings.Contains(s, markedLast) || strings.Contains(s, markedAnswer) {
		t.Errorf("the fragment is %s", s)
	}
}

func TestSource_IsForOperatorsAlone(t *testing.T) {
	b := stored()
	f := newFixture(t, b)
	f.read(t)
	e := b.events[0]
	if a := f.post(t, "rita", "/visit/source", "site", e.Site, "event", e.ID, "at", unix(e.Received)); a.status != http.StatusNotFound {
		t.Errorf("reception got %d: %s", a.status, a.text)
	}
	a := f.post(t, "olga", "/visit/source", "site", e.Site, "event", e.ID, "at", unix(e.Received))
	if a.status != http.StatusOK || !strings.Contains(a.text, "&#34;mobile&#34;:&#34;"+strings.ReplaceAll(markedAnswer, "+", "&#43;")) {
		t.Errorf("an operator got %d: %s", a.status, a.text)
	}
	if audits := b.audited(); len(audits) != 1 || audits[0].Action != visit.ActionSource {
		t.Errorf("the records are %+v", audits)
	}
}

func TestActs_NothingButALockdownIsDoneWithoutARecord(t *testing.T) {
	b := busy()
	b.audits = nil
	f := newTryFixture(t, b)
	f.read(t)
	b.set(func() { b.auditErr = errFull })
	given := len(b.orders)
	for path, form := range map[string][]string{
		"/visit/reveal":  {"site", "hq", "event", b.events[0].ID, "at", "1"},
		"/visit/source":  {"site", "hq", "event", b.events[0].ID, "at", "1"},
		"/decisions.csv": {},
		"/try":           {"integration", "lobby-hq", "step", "check-in-request"},
		"/orders/give":   {"action", "override", "site", "hq", "for", "15m", "reason", "x", "token", "T1", "confirm", "hq"},
	} {
		a := f.post(t, "otto", path, form...)
		if a.status != http.StatusServiceUnavailable || !strings.Contains(a.text, "must be recorded") || !strings.Contains(a.text, errFull.Error()) || strings.Contains(a.text, markedLast) {
			t.Errorf("%s got %d: %s", path, a.status, a.text)
		}
	}
	if a := f.post(t, "otto", "/orders/give", "action", "lift", "kind", "override", "id", "O1", "site", "hq", "token", "T2", "confirm", "hq"); a.status != http.StatusServiceUnavailable {
		t.Errorf("a lift got %d", a.status)
	}
	if len(b.orders) != given || len(b.lifted) != 0 {
		t.Errorf("something was ordered: %+v, %+v", b.orders, b.lifted)
	}
	a := f.post(t, "otto", "/orders/give", "action", "lockdown", "site", "hq", "token", "T3", "confirm", "hq")
	if a.status != http.StatusSeeOther || len(b.orders) != given+1 {
		t.Fatalf("a lockdown got %d: %s", a.status, a.text)
	}
	if a := f.get(t, "otto", a.header.Get("Location")); !strings.Contains(a.text, "there is no record of who gave it") || !strings.Contains(a.text, errFull.Error()) {
		t.Errorf("the page says %s", a.text)
	}
}

func TestLockdown_GoesFromAFormToObeyedByAll(t *testing.T) {
	b := stored()
	b.relays = append(b.relays, b.relays[0])
	b.relays[1].ID = "RELAY2"
	f := newFixture(t, b)
	f.read(t)
	entered := []string{"action", "lockdown", "site", "hq", "for", "30m", "reason", "fire <drill>", "message", "Please wait & stay"}
	a := f.post(t, "olga", "/orders/confirm", entered...)
	for _, want := range []string{"Reject every visitor of hq?", "<blockquote>Please wait &amp; stay</blockquote>", "fire &lt;drill&gt;", "2 relays that answer have the site", "To confirm, type: hq"} {
		if !strings.Contains(a.text, want) {
			t.Errorf("the confirmation does not say %q: %s", want, a.text)
		}
	}
	token := regexp.MustCompile(`name="token" value="([A-Z0-9a-z]+)"`).FindStringSubmatch(a.text)[1]
	entered = append(entered, "token", token, "confirm", "plant")
	if a := f.post(t, "olga", "/orders/give", entered...); a.status != http.StatusBadRequest || !strings.Contains(a.text, "Nothing was ordered. To confirm, type exactly: hq") || len(b.orders) != 0 {
		t.Errorf("a wrong confirmation got %d: %s", a.status, a.text)
	}
	entered[len(entered)-1] = " HQ "
	for range 2 { // sent again, it is given once
		if a = f.post(t, "olga", "/orders/give", entered...); a.status != http.StatusSeeOther {
			t.Fatalf("it got %d: %s", a.status, a.text)
		}
	}
	if len(b.orders) != 1 {
		t.Fatalf("%d orders were given", len(b.orders))
	}
	if o := b.orders[0]; o.Kind != visit.OrderLockdown || o.Site != "hq" || o.By != "olga" || o.Reason != "fire <drill>" || o.Until.IsZero() {
		t.Errorf("the order is %+v", o)
	}
	if audits := b.audited(); len(audits) != 1 || audits[0].Action != visit.ActionLockdown || audits[0].User != "olga" {
		t.Errorf("the records are %+v", audits)
	}
	address := a.header.Get("Location")
	if a := f.get(t, "olga", address); !strings.Contains(a.text, "Obeyed by 0 of 2 relays") || !strings.Contains(a.text, "RELAY2: does not obey yet") {
		t.Errorf("the page says %s", a.text)
	}
	go func() {
		wait.For(func() bool { return f.streams.Viewers() == 1 })
		b.set(func() {
			obeyed := []visit.RelayOrder{{Kind: visit.OrderLockdown, Site: "hq", ID: b.orders[0].ID}}
			relays := append([]visit.Relay{}, b.relays...)
			relays[0].Orders, relays[1].Orders = obeyed, obeyed
			b.relays = relays
		})
	}()
	f.stream(t, "olga", "/events?of=order&token="+token, "Obeyed by 2 of 2 relays")
	if a := f.get(t, "rita", address); a.status != http.StatusNotFound {
		t.Errorf("somebody else got %d", a.status)
	}
}

func TestOrder_IsRefusedInWords(t *testing.T) {
	b := busy()
	f := newFixture(t, b)
	f.read(t)
	for name, c := range map[string]struct {
		who    string
		form   []string
		status int
		text   string
	}{
		"by a viewer":                    {"vera", []string{"action", "lockdown", "site", "hq"}, http.StatusNotFound, ""},
		"by reception":                   {"rita", []string{"action", "lockdown", "site", "hq"}, http.StatusNotFound, ""},
		"for another site":               {"olga", []string{"action", "lockdown", "site", "plant"}, http.StatusNotFound, ""},
		"for all sites, having one":      {"olga", []string{"action", "lockdown", "site", "*"}, http.StatusNotFound, ""},
		"for what is no site":            {"otto", []string{"action", "lockdown", "site", "hq.>"}, http.StatusNotFound, ""},
		"for no site":                    {"otto", []string{"action", "lockdown"}, http.StatusBadRequest, "site must be"},
		"an override without a reason":   {"otto", []string{"action", "override", "site", "hq", "for", "15m"}, http.StatusBadRequest, "requires a reason"},
		"an override without an end":     {"otto", []string{"action", "override", "site", "hq", "reason", "x"}, http.StatusBadRequest, "must end by itself, after 2 hours at most"},
		"an override that is too long":   {"otto", []string{"action", "override", "site", "hq", "reason", "x", "for", "4h"}, http.StatusBadRequest, "must end by itself"},
		"a duration that is none":        {"otto", []string{"action", "lockdown", "site", "hq", "for", "soon"}, http.StatusBadRequest, "choose how long"},
		"an action that is none":         {"otto", []string{"action", "drill", "site", "hq"}, http.StatusBadRequest, "choose lockdown or override"},
		"a message that is too long":     {"otto", []string{"action", "lockdown", "site", "hq", "message", strings.Repeat("x", 501)}, http.StatusBadRequest, "500 characters"},
		"a lift without an order":        {"otto", []string{"action", "lift", "kind", "lockdown", "site", "hq"}, http.StatusBadRequest, "requires the id"},
		"a lift of another site's order": {"olga", []string{"action", "lift", "kind", "lockdown", "site", "plant", "id", "L1"}, http.StatusNotFound, ""},
	} {
		for _, path := range []string{"/orders/confirm", "/orders/give"} {
			a := f.post(t, c.who, path, append([]string{"token", "T", "confirm", "hq"}, c.form...)...)
			if a.status != c.status || !strings.Contains(a.text, c.text) {
				t.Errorf("%s at %s got %d: %s", name, path, a.status, a.text)
			}
			checkHTML(t, path, a.text)
		}
	}
	if len(b.orders) != 2 || len(b.audited()) != 2 {
		t.Errorf("something was ordered or recorded: %+v", b.orders)
	}
}

func TestLift_EndsTheOrderThatIsMeant(t *testing.T) {
	b := busy()
	f := newFixture(t, b)
	f.read(t)
	if a := f.get(t, "olga", "/orders"); !strings.Contains(a.text, `name="id" value="O1"`) || strings.Contains(a.text, "L1") {
		t.Errorf("the page has %s", a.text)
	}
	form := []string{"action", "lift", "kind", "override", "site", "hq", "id", "O1", "reason", "all clear"}
	if a := f.post(t, "olga", "/orders/confirm", form...); a.status != http.StatusOK || !strings.Contains(a.text, "Lift the override of hq?") || !strings.Contains(a.text, "this one is lifted") {
		t.Errorf("the confirmation got %d: %s", a.status, a.text)
	}
	a := f.post(t, "olga", "/orders/give", append(form, "token", "T", "confirm", "hq")...)
	if a.status != http.StatusSeeOther || len(b.lifted) != 1 {
		t.Fatalf("it got %d: %s", a.status, a.text)
	}
	if l := b.lifted[0]; l.Lifts != "O1" || l.Kind != visit.OrderOverride || l.By != "olga" || l.Reason != "all clear" {
		t.Errorf("the lift is %+v", l)
	}
	if a := f.get(t, "olga", a.header.Get("Location")); !strings.Contains(a.text, "Obeyed by 0 of 1 relay") {
		t.Errorf("the page says %s", a.text)
	}
}

func TestLift_OfWhatIsNotInForceSaysSo(t *testing.T) {
	b := busy()
	b.liftErr = visit.ErrNotFound
	f := newFixture(t, b)
	f.read(t)
	a := f.post(t, "otto", "/orders/give", "action", "lift", "kind", "override", "site", "hq", "id", "O1", "token", "T", "confirm", "hq")
	if a.status != http.StatusServiceUnavailable || !strings.Contains(a.text, "Nothing was lifted") {
		t.Errorf("it got %d: %s", a.status, a.text)
	}
}

func TestOrder_ThatIsNotStoredIsNotSaidToBe(t *testing.T) {
	b := stored()
	b.giveErr = errors.New("no acknowledgement before the deadline")
	f := newFixture(t, b)
	f.read(t)
	a := f.post(t, "otto", "/orders/give", "action", "lockdown", "site", "*", "token", "T", "confirm", "all sites")
	if a.status != http.StatusServiceUnavailable || !strings.Contains(a.text, "It is not known to be stored") || !strings.Contains(a.text, "sine-relay lockdown") {
		t.Errorf("it got %d: %s", a.status, a.text)
	}
	b.set(func() { b.giveErr = nil })
	if a := f.post(t, "otto", "/orders/give", "action", "lockdown", "site", "*", "token", "T", "confirm", "all sites"); a.status != http.StatusSeeOther {
		t.Errorf("sent again, it got %d: %s", a.status, a.text)
	}
}

func TestExport_HasWhatIsMeantAndNoFormula(t *testing.T) {
	b := stored()
	b.records[0].Rule = "=HYPERLINK(1)"
	f := newFixture(t, b)
	f.read(t)
	a := f.post(t, "rita", "/decisions.csv")
	rows, err := csv.NewReader(strings.NewReader(a.text)).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][1] != "hq" || rows[1][9] != "'=HYPERLINK(1)" {
		t.Errorf("the table is %q, %v", rows, err)
	}
	if !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("the header is %v", a.header)
	}
	if audits := b.audited(); len(audits) != 1 || audits[0].Site != "hq" || audits[0].Action != visit.ActionExport {
		t.Errorf("the records are %+v", audits)
	}
}

// fakeTrier answers everything; it calls no relay.
type fakeTrier struct {
	panics bool
	calls  []TryCall
	on     bool
}

func (f *fakeTrier) Targets() []TryTarget {
	return []TryTarget{{"lobby-hq", "hq"}, {"lobby-plant", "plant"}}
}

func (f *fakeTrier) Try(_ context.Context, _ string, call TryCall) (Tried, error) {
	if f.panics {
		panic("a value with " + call.LastName)
	}
	f.calls = append(f.calls, call)
	return Tried{
		Accepted: true, Text: hostile, Notes: []string{hostile}, Reference: "ABCDE", RequestID: "ABCDEFGH", Curl: "curl " + hostile,
		Messages: []TryMessage{{From: "sine", To: "relay", What: "POST /sine/lobby-hq", After: time.Millisecond, Header: [][2]string{{"A", hostile}}, Body: []byte(hostile)}},
	}, nil
}

func (f *fakeTrier) Troubles() []Trouble {
	return []Trouble{{Name: "gone", Text: "The decider is gone.", On: f.on}}
}

func (f *fakeTrier) SetTrouble(_ context.Context, _ string, on bool) error { f.on = on; return nil }

func TestTry_GoesFromTheRequestToTheCheckOut(t *testing.T) {
	b, trier := stored(), &fakeTrier{}
	f := newFixture(t, b, func(c *Config) { c.Trier = trier })
	f.read(t)
	visitID := ""
	for _, step := range []string{"check-in-request", "check-in-success", "check-out-success"} {
		a := f.post(t, "olga", "/try", "integration", "lobby-hq", "step", step, "visit", visitID, "first", "Ada", "last", "Example", "answers", "Laptop?: no\nPet?: a cat")
		if a.status != http.StatusOK || !strings.Contains(a.text, "POST /sine/lobby-hq") {
			t.Fatalf("%s got %d: %s", step, a.status, a.text)
		}
		checkHTML(t, step, a.text)
		call := trier.calls[len(trier.calls)-1]
		if string(call.Step) != step || len(call.Answers) != 2 || call.Answers[1] != [2]string{"Pet?", "a cat"} || visitID != "" && call.Visit != visitID {
			t.Errorf("the call is %+v", call)
		}
		visitID = call.Visit
	}
	if audits := b.audited(); len(audits) != 3 || audits[0].Action != visit.ActionTry || audits[0].Site != "hq" {
		t.Errorf("the records are %+v", audits)
	}
	for who, integration := range map[string]string{"olga": "lobby-plant", "rita": "lobby-hq", "vera": "lobby-hq", "otto": "elsewhere"} {
		if a := f.post(t, who, "/try", "integration", integration, "step", "check-in-request"); a.status != http.StatusNotFound {
			t.Errorf("%s got %d for %s", who, a.status, integration)
		}
	}
}

func TestTry_TroublesAreForOperatorsOfAllSites(t *testing.T) {
	trier := &fakeTrier{}
	f := newFixture(t, stored(), func(c *Config) { c.Trier = trier })
	f.read(t)
	if a := f.post(t, "olga", "/try/trouble", "name", "gone", "on", "true"); a.status != http.StatusNotFound || trier.on {
		t.Errorf("an operator of one site got %d", a.status)
	}
	if a := f.post(t, "otto", "/try/trouble", "name", "other", "on", "true"); a.status != http.StatusNotFound {
		t.Errorf("one that does not exist got %d", a.status)
	}
	if a := f.post(t, "otto", "/try/trouble", "name", "gone", "on", "true"); a.status != http.StatusSeeOther || !trier.on {
		t.Errorf("it got %d", a.status)
	}
	if a := f.get(t, "otto", "/try"); !strings.Contains(a.text, "This is so now.") {
		t.Errorf("the page says %s", a.text)
	}
}
