package desk

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/desk/page"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

// hostile is a text that would do something in a page that does not escape it.
const hostile = `"><script>alert(1)</script>' onload=x {{.}}`

// busy is a broker with something on every page, hostile texts among it.
func busy() *fakeBroker {
	b := stored()
	b.orders = []visit.Order{
		{Kind: visit.OrderOverride, Site: "hq", ID: "O1", By: hostile, Reason: hostile, Message: hostile, Since: time.Now().Add(-time.Minute), Until: time.Now().Add(time.Hour)},
		{Kind: visit.OrderLockdown, Site: "plant", ID: "L1", By: "eve", Since: time.Now().Add(-time.Hour), Until: time.Now().Add(-time.Minute)},
	}
	b.records[0].Votes[0].Version, b.records[0].Rule = hostile, hostile
	b.relays[0].Version, b.relays[0].Impaired = hostile, hostile
	b.relays[0].Integrations = []visit.RelayIntegration{{
		Name: "lobby-hq", DisplayName: hostile, Site: "hq", TimeZone: "Europe/Zurich", Deciders: []string{"default"}, Drifting: []string{"company"},
	}}
	b.relays[0].IntegrationCount = 2
	for _, site := range []string{"hq", "plant"} {
		b.quarantined = append(b.quarantined, visit.Quarantined{
			RequestID: "Q" + site, Site: site, Integration: "lobby-" + site, Reason: visit.ReasonUnknownEvent, Received: time.Now(),
			Body: []byte(`{"visitor":{"lastName":"` + markedLast + `"},"` + markedFirst + ` ` + markedLast + `":1,"` + markedAnswer + `":2}`),
		})
	}
	b.audits = []visit.Audit{
		{ID: "1", Time: time.Now(), Action: visit.ActionReveal, Site: "hq", Subject: b.events[0].ID, User: hostile, Role: "reception"},
		{ID: "2", Time: time.Now(), Action: visit.ActionExport, Site: "plant", User: "eve", Role: "viewer"},
	}
	return b
}

// everyPage is each page that can be asked for.
func everyPage(b *fakeBroker) []string {
	return []string{
		"/", "/live", "/visit", "/visit?event=" + b.events[0].ID, "/visit?request=" + b.records[0].RequestID, "/visit?event=" + b.events[1].ID,
		"/decisions", "/decisions?site=hq&result=rejected", "/orders", "/quarantine", "/audit", "/try", "/nothing",
	}
}

func newTryFixture(t testing.TB, b *fakeBroker) *fixture {
	return newFixture(t, b, func(c *Config) { c.Trier = &fakeTrier{} })
}

func TestPages_NobodyGetsANameUnasked(t *testing.T) {
	b := busy()
	f := newTryFixture(t, b)
	f.read(t)
	for i := range b.events {
		f.happen(b.records[i], b.events[i])
	}
	for who := range people {
		for _, path := range everyPage(b) {
			a := f.get(t, who, path)
			for _, never := range []string{markedFirst, markedLast, markedCompany, markedAnswer} {
				if strings.Contains(a.text, never) {
					t.Errorf("%s got %q from %s", who, never, path)
				}
			}
			if who == "nemo" && (a.status != http.StatusForbidden && a.status != http.StatusNotFound || strings.Contains(a.text, "hq")) {
				t.Errorf("somebody without a role got %d from %s: %s", a.status, path, a.text)
			}
			if (who == "rita" || who == "olga") && strings.Contains(a.text, "plant") {
				t.Errorf("%s got another site from %s: %s", who, path, a.text)
			}
		}
	}
	for _, never := range []string{markedFirst, markedLast, markedCompany, markedAnswer} {
		if strings.Contains(f.logs.String(), never) {
			t.Errorf("the log has %q: %s", never, f.logs)
		}
	}
}

func TestPages_AreWellFormedAndRunNothing(t *testing.T) {
	b := busy()
	f := newTryFixture(t, b)
	f.read(t)
	for i := range b.events {
		f.happen(b.records[i], b.events[i])
	}
	for _, path := range everyPage(b) {
		a := f.get(t, "otto", path)
		if a.header.Get("Content-Security-Policy") != page.Policy || a.header.Get("Cache-Control") != "no-store" ||
			a.header.Get("Referrer-Policy") != "same-origin" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("the headers of %s are %v", path, a.header)
		}
		checkHTML(t, path, a.text)
	}
}

// checkHTML fails where elements are not nested as they are written, ids are not unique,
// labels lead nowhere, or anything would run.
func checkHTML(t *testing.T, path, text string) {
	t.Helper()
	void := []string{"meta", "link", "input", "br"}
	var open []string
	ids, wanted := map[string]bool{}, map[string]bool{}
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict, d.Entity = false, xml.HTMLEntity // attributes without a value
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		switch token := token.(type) {
		case xml.StartElement:
			if !slices.Contains(void, token.Name.Local) && token.Name.Local != "rect" { // which ends itself
				open = append(open, token.Name.Local)
			}
			checkElement(t, path, token, ids, wanted)
		case xml.EndElement:
			if slices.Contains(void, token.Name.Local) || token.Name.Local == "rect" && len(open) > 0 && open[len(open)-1] != "rect" {
				continue
			}
			if len(open) == 0 || open[len(open)-1] != token.Name.Local {
				t.Errorf("%s ends %s within %v", path, token.Name.Local, open)
				return
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%s ends within %v", path, open)
	}
	for id := range wanted {
		if !ids[id] {
			t.Errorf("%s names %s, which is not there", path, id)
		}
	}
	if n := strings.Count(text, "<h1>"); n != 1 {
		t.Errorf("%s has %d headings of the first order", path, n)
	}
}

func checkElement(t *testing.T, path string, e xml.StartElement, ids, wanted map[string]bool) {
	t.Helper()
	src := ""
	for _, attr := range e.Attr {
		switch name := attr.Name.Local; {
		case name == "id" && ids[attr.Value]:
			t.Errorf("%s has the id %s twice", path, attr.Value)
		case name == "id":
			ids[attr.Value] = true
		case name == "for" || name == "aria-labelledby":
			wanted[attr.Value] = true
		case strings.HasPrefix(name, "on") || name == "style" || strings.HasPrefix(attr.Value, "javascript:"):
			t.Errorf("%s has %s=%q", path, name, attr.Value)
		case name == "src":
			src = attr.Value
		}
	}
	if e.Name.Local == "script" && src != "/static/desk.js" || e.Name.Local == "style" {
		t.Errorf("%s has a %s of its own", path, e.Name.Local)
	}
}

func TestPages_SayThatNATSIsAway(t *testing.T) {
	b := busy()
	f := newTryFixture(t, b)
	f.read(t)
	b.set(func() { b.away = fmt.Errorf("%w: no servers available", visit.ErrDisconnected) })
	f.feed.Look(t.Context())
	for _, path := range everyPage(b) {
		a := f.get(t, "otto", path)
		if !strings.Contains(a.text, "NATS cannot be reached") {
			t.Errorf("%s does not say it: %s", path, a.text)
		}
		reads := strings.HasPrefix(path, "/visit?") || strings.HasPrefix(path, "/decisions") || path == "/quarantine" || path == "/audit"
		if reads && a.status != http.StatusServiceUnavailable {
			t.Errorf("%s answers %d", path, a.status)
		}
		checkHTML(t, path, a.text)
	}
}

func TestPages_SayWhatNATSRefuses(t *testing.T) {
	b := stored()
	b.ordersErr = fmt.Errorf("read the orders: %w: permit $JS.API.STREAM.INFO.KV_VISITOR_ORDERS", visit.ErrDenied)
	f := newFixture(t, b)
	go f.Run(t.Context())
	wait.Until(t, "all was asked", func() bool { return f.Ready() == nil })
	for _, path := range []string{"/", "/orders"} {
		if a := f.get(t, "vera", path); !strings.Contains(a.text, "NATS refuses it: read the orders: permission denied by NATS: permit $JS.API") {
			t.Errorf("%s says %s", path, a.text)
		}
	}
}

func TestPages_OtherMethodsAndAddressesAreRefusedInWords(t *testing.T) {
	f := newFixture(t, stored())
	f.read(t)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodDelete, "/", http.StatusMethodNotAllowed}, {http.MethodGet, "/decisions.csv", http.StatusMethodNotAllowed},
		{http.MethodGet, "/orders/give", http.StatusMethodNotAllowed}, {http.MethodGet, "/nothing", http.StatusNotFound},
		{http.MethodGet, "/try", http.StatusNotFound}, {http.MethodGet, "/events?of=nothing", http.StatusNotFound},
		{http.MethodGet, "/decisions?site=plant2%00", http.StatusBadRequest}, {http.MethodGet, "/decisions?from=2026-13-01", http.StatusBadRequest},
		{http.MethodGet, "/decisions?from=2020-01-01", http.StatusBadRequest}, {http.MethodGet, "/decisions?result=maybe", http.StatusBadRequest},
		{http.MethodGet, "/visit?event=no+such+id", http.StatusBadRequest}, {http.MethodGet, "/visit?event=unknown", http.StatusNotFound},
		{http.MethodGet, "/orders/given?token=x", http.StatusNotFound}, {http.MethodHead, "/", http.StatusOK},
	} {
		a := f.do(t, "otto", c.method, c.path, nil)
		if a.status != c.status || c.method != http.MethodHead && !strings.Contains(a.text, "<h1>") {
			t.Errorf("%s %s got %d: %s", c.method, c.path, a.status, a.text)
		}
		if c.status == http.StatusMethodNotAllowed && a.header.Get("Allow") == "" {
			t.Errorf("%s %s does not say what is allowed", c.method, c.path)
		}
	}
}

func TestForm_ThatIsTooLargeIsRefused(t *testing.T) {
	f := newFixture(t, stored())
	if a := f.do(t, "otto", http.MethodPost, "/visit", url.Values{"id": {strings.Repeat("x", 1<<20)}}); a.status == http.StatusInternalServerError || strings.Contains(a.text, "xxxx") {
		t.Errorf("it got %d: %.200s", a.status, a.text)
	}
}

func TestPages_APanicIsAnsweredAndLoggedWithoutItsValue(t *testing.T) {
	b := stored()
	f := newFixture(t, b, func(c *Config) { c.Trier = &fakeTrier{panics: true} })
	f.read(t)
	a := f.post(t, "otto", "/try", "integration", "lobby-hq", "step", "check-in-request", "last", markedLast)
	if a.status != http.StatusInternalServerError || !strings.Contains(a.text, "Something went wrong within the desk") {
		t.Errorf("it got %d: %s", a.status, a.text)
	}
	if log := f.logs.String(); !strings.Contains(log, "msg=panic page=try") || strings.Contains(log, markedLast) {
		t.Errorf("the log is %s", log)
	}
}

// The static files are for everybody, also before they have signed in.
func TestStatic_StyleAndScriptAreServed(t *testing.T) {
	f := newFixture(t, stored())
	for path, kind := range map[string]string{"/static/desk.css": "text/css", "/static/desk.js": "text/javascript", "/static/icon.svg": "image/svg+xml"} {
		if a := f.get(t, "vera", path); a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), kind) {
			t.Errorf("%s got %d %s", path, a.status, a.header.Get("Content-Type"))
		}
	}
}

var errFull = errors.New("the stream VISITOR_DESK is full")
