package desk

import (
	"encoding/csv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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

func TestActs_NothingButALockdownAndALiftIsDoneWithoutARecord(t *testing.T) {
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
	if len(b.orders) != given || len(b.lifted) != 0 {
		t.Errorf("something was ordered: %+v, %+v", b.orders, b.lifted)
	}
	for want, form := range map[string][]string{
		"lockdown is given, and there is no record of who gave it": {"action", "lockdown", "token", "T3"},
		"order is lifted, and there is no record of who lifted it": {"action", "lift", "kind", "override", "id", "O1", "token", "T4"},
	} {
		a := f.post(t, "otto", "/orders/give", append(form, "site", "hq", "confirm", "hq")...)
		if a.status != http.StatusSeeOther {
			t.Fatalf("it got %d: %s", a.status, a.text)
		}
		if a := f.get(t, "otto", a.header.Get("Location")); !strings.Contains(a.text, want) || !strings.Contains(a.text, errFull.Error()) {
			t.Errorf("the page does not say %q: %s", want, a.text)
		}
	}
	if len(b.lifted) != 1 || !slices.ContainsFunc(b.orders, func(o visit.Order) bool { return o.Kind == visit.OrderLockdown && o.Site == "hq" }) {
		t.Errorf("in force are %+v", b.orders)
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

// A program may make keys of names.
func TestQuarantine_OnlyOperatorsOfTheSiteSeeKeysThatAreNotKnown(t *testing.T) {
	b := stored()
	b.quarantined = []visit.Quarantined{{RequestID: "Q", Site: "hq", Integration: "lobby-hq", Reason: visit.ReasonUnknownEvent, Received: time.Now(), Body: []byte(`{"event":"nope","Petra":{"Schmidt":"x"}}`)}}
	f := newFixture(t, b)
	f.read(t)
	for who, want := range map[string]bool{"vera": false, "rita": false, "olga": true, "otto": true} {
		a := f.get(t, who, "/quarantine")
		if shown := strings.Contains(a.text, "Petra.Schmidt"); shown != want || !strings.Contains(a.text, "event") {
			t.Errorf("%s has the key shown: %v: %s", who, shown, a.text)
		}
	}
}

// A name that overrides the direction of writing would turn what the desk says around it.
func TestReveal_ANameDoesNotChangeHowTheRestIsRead(t *testing.T) {
	b := stored()
	b.events[0].Pass.Person.LastName = markedLast + "\u202e\u2066"
	b.events[0].Pass.Company = "\u05d0\u05d1\u202e"
	f := newFixture(t, b)
	f.read(t)
	a := f.post(t, "rita", "/visit/reveal", "site", "hq", "event", b.events[0].ID, "at", "1")
	if !strings.Contains(a.text, "<bdi>"+markedLast+"</bdi>") || !strings.Contains(a.text, "<bdi>\u05d0\u05d1</bdi>") || strings.ContainsAny(a.text, "\u202e\u2066") {
		t.Errorf("it got %d: %s", a.status, a.text)
	}
}

func TestOrders_ATextDoesNotChangeHowTheRestIsRead(t *testing.T) {
	b := stored()
	b.orders = []visit.Order{{Kind: visit.OrderLockdown, Site: "hq", ID: "L1", By: "eve\u202e", Reason: "fire\u202e", Message: "go\u202e", Since: time.Now()}}
	f := newFixture(t, b)
	f.read(t)
	a := f.get(t, "otto", "/orders")
	for _, want := range []string{"<bdi>eve</bdi>", "<bdi>fire</bdi>", "<bdi>go</bdi>"} {
		if !strings.Contains(a.text, want) {
			t.Errorf("%s is missing", want)
		}
	}
}
