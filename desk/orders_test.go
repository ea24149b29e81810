package desk

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

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

// Behind a load balancer, the page after an order may be asked of another desk.
func TestOrder_GivenByAnotherDeskIsShownAsNATSHasIt(t *testing.T) {
	b := busy()
	first, second := newFixture(t, b), newFixture(t, b)
	first.read(t)
	second.read(t)
	for _, form := range [][]string{
		{"action", "lockdown", "site", "hq", "token", "T", "confirm", "hq"},
		{"action", "lift", "kind", "override", "site", "hq", "id", "O1", "token", "L", "confirm", "hq"},
	} {
		a := first.post(t, "olga", "/orders/give", form...)
		if a := second.get(t, "olga", a.header.Get("Location")); a.status != http.StatusOK || !strings.Contains(a.text, "Obeyed by 0 of 1 relay") {
			t.Errorf("the other desk answers %d: %s", a.status, a.text)
		}
		if a := second.get(t, "rita", a.header.Get("Location")); a.status != http.StatusNotFound {
			t.Errorf("somebody else got %d", a.status)
		}
	}
	for _, address := range []string{"action=lockdown&site=hq&id=forged", "action=lift&kind=lockdown&site=hq&id=order-1&revision=1", "action=lift&kind=override&site=hq&id=gone&revision=x", "action=lockdown&site=hq"} {
		if a := second.get(t, "olga", "/orders/given?token=X&"+address); a.status != http.StatusNotFound {
			t.Errorf("%s got %d: %s", address, a.status, a.text)
		}
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

// NATS may lose a lockdown that relays go on to obey: it must be seen, and be lifted.
func TestOrders_ThatNATSHasLostAreShownAndLifted(t *testing.T) {
	b := busy()
	b.orders = nil
	b.relays[0].Orders = []visit.RelayOrder{
		{Kind: visit.OrderLockdown, Site: "hq", ID: "L7", Lost: true}, {Kind: visit.OrderLockdown, Site: "lab", ID: "L8", Lost: true},
	}
	f := newFixture(t, b)
	f.read(t)
	a := f.get(t, "olga", "/orders")
	if !strings.Contains(a.text, `name="id" value="L7"`) || !strings.Contains(a.text, "NATS does not store it any more") || strings.Contains(a.text, "L8") {
		t.Errorf("the page has %s", a.text)
	}
	a = f.post(t, "olga", "/orders/give", "action", "lift", "kind", "lockdown", "site", "hq", "id", "L7", "token", "T", "confirm", "hq")
	if a.status != http.StatusSeeOther || len(b.lifted) != 1 || b.lifted[0].Lifts != "L7" {
		t.Errorf("it got %d: %s; %+v", a.status, a.text, b.lifted)
	}
}

// Whoever confirms a lift has seen one order. Another one may have been given since.
func TestLift_EndsNoOrderThatWasNotSeen(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fakeBroker)
		id     string
		lifted bool
	}{
		"the one that was seen":               {func(*fakeBroker) {}, "O1", true},
		"one that was replaced":               {func(b *fakeBroker) { b.orders[0].ID = "O2" }, "O1", false},
		"one that was replaced and is obeyed": {func(b *fakeBroker) { b.orders[0].ID = "O2"; b.obey("O1", "O2") }, "O1", false},
		"one that NATS has lost":              {func(b *fakeBroker) { b.orders = nil; b.obey("O1", "O2") }, "O1", true},
		"one that nobody knows":               {func(b *fakeBroker) { b.orders = nil; b.obey("O2") }, "whatever", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := busy()
			c.change(b)
			f := newFixture(t, b)
			f.read(t)
			a := f.post(t, "olga", "/orders/give", "action", "lift", "kind", "override", "site", "hq", "id", c.id, "token", "T", "confirm", "hq")
			if lifted := a.status == http.StatusSeeOther && len(b.lifted) == 1 && b.lifted[0].Lifts == c.id; lifted != c.lifted {
				t.Errorf("it got %d: %s", a.status, a.text)
			}
			if !c.lifted && (!strings.Contains(a.text, "Nothing was lifted") || len(b.lifted) != 0) {
				t.Errorf("lifted are %+v: %s", b.lifted, a.text)
			}
		})
	}
}

// obey has the relay say that it obeys overrides of hq.
func (b *fakeBroker) obey(ids ...string) {
	for _, id := range ids {
		b.relays[0].Orders = append(b.relays[0].Orders, visit.RelayOrder{Kind: visit.OrderOverride, Site: "hq", ID: id})
	}
}

func TestLift_TheConfirmationSaysWhichOrderItEnds(t *testing.T) {
	b := busy()
	f := newFixture(t, b)
	f.read(t)
	for id, want := range map[string]string{"O1": "this one is lifted", "O0": "another one, which is not lifted"} {
		a := f.post(t, "olga", "/orders/confirm", "action", "lift", "kind", "override", "site", "hq", "id", id)
		if a.status != http.StatusOK || !strings.Contains(a.text, want) || strings.Contains(a.text, "this one") != (id == "O1") {
			t.Errorf("of %s it says %d: %s", id, a.status, a.text)
		}
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

// A page that takes long to fill keeps the model to itself.
func TestLockdown_DoesNotWaitForWhatSomebodyLooksAt(t *testing.T) {
	b := stored()
	f := newFixture(t, b)
	f.read(t)
	looking, looked := make(chan struct{}), make(chan struct{})
	var once sync.Once
	go f.model.View(func(string) bool {
		once.Do(func() { close(looking) })
		<-looked
		return true
	})
	<-looking
	defer close(looked)
	ordered := make(chan int, 1)
	go func() {
		ordered <- f.post(t, "otto", "/orders/give", "action", "lockdown", "site", "hq", "token", "T", "confirm", "hq").status
	}()
	select {
	case status := <-ordered:
		if status != http.StatusSeeOther {
			t.Errorf("it got %d", status)
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits")
	}
}

// The record says what became of an order: it has the id of one that is stored.
func TestOrder_ItsRecordSaysWhatBecameOfIt(t *testing.T) {
	lockdown := []string{"action", "lockdown", "for", "15m", "id", strings.Repeat(markedLast+" ", 1000)}
	override := []string{"action", "override", "for", "15m", "reason", "x", "id", markedLast}
	lift := []string{"action", "lift", "kind", "override", "id", "O1"}
	failed := errors.New("no acknowledgement before the deadline")
	for name, c := range map[string]struct {
		form             []string
		giveErr, liftErr error
		want             []string // the subjects of the records
	}{
		"a lockdown":                     {lockdown, nil, nil, []string{"order-1"}},
		"a lockdown that may be stored":  {lockdown, failed, nil, []string{""}},
		"an override":                    {override, nil, nil, []string{"", "order-1"}},
		"an override that was refused":   {override, failed, nil, []string{""}},
		"a lift":                         {lift, nil, nil, []string{"O1"}},
		"a lift that may be stored":      {lift, nil, failed, []string{""}},
		"a lift of what is not in force": {lift, nil, visit.ErrNotFound, nil},
	} {
		b := busy()
		b.audits, b.giveErr, b.liftErr = nil, c.giveErr, c.liftErr
		f := newFixture(t, b)
		f.read(t)
		f.post(t, "otto", "/orders/give", append(c.form, "site", "hq", "token", "T", "confirm", "hq")...)
		var subjects []string
		for _, a := range b.audited() {
			if subjects = append(subjects, a.Subject); string(a.Action) != c.form[1] || a.User != "otto" || a.Site != "hq" {
				t.Errorf("%s has the record %+v", name, a)
			}
		}
		if !slices.Equal(subjects, c.want) {
			t.Errorf("%s is recorded as %q, want %q", name, subjects, c.want)
		}
	}
}

func TestAudit_TellsAnOrderThatWasAskedForFromOneThatIsStored(t *testing.T) {
	b := busy()
	b.giveErr = errors.New("no acknowledgement before the deadline")
	f := newFixture(t, b)
	f.read(t)
	form := []string{"action", "override", "site", "hq", "for", "15m", "reason", "x", "token", "T", "confirm", "hq"}
	f.post(t, "otto", "/orders/give", form...)
	if a := f.get(t, "otto", "/audit"); !strings.Contains(a.text, "<td>asked for an override</td>") || strings.Contains(a.text, "<td>gave an override</td>") {
		t.Errorf("the page says %s", a.text)
	}
	b.set(func() { b.giveErr = nil })
	f.post(t, "otto", "/orders/give", form...)
	if a := f.get(t, "otto", "/audit"); !strings.Contains(a.text, "<td>gave an override</td>") {
		t.Errorf("the page says %s", a.text)
	}
}

// A token is one person's for one form: nobody gets the page of another order by it.
func TestOrder_ATokenGivesNothingElse(t *testing.T) {
	b := busy()
	f := newFixture(t, b)
	f.read(t)
	form := func(site string) []string {
		return []string{"action", "lockdown", "site", site, "token", "T", "confirm", site}
	}
	for _, c := range []struct {
		who, site string
		status    int
		given     int
	}{
		{"otto", "hq", http.StatusSeeOther, 1}, {"otto", "plant", http.StatusConflict, 1}, {"otto", "hq", http.StatusSeeOther, 1},
		{"olga", "hq", http.StatusSeeOther, 2},
	} {
		a := f.post(t, c.who, "/orders/give", form(c.site)...)
		if a.status != c.status || b.given != c.given {
			t.Errorf("%s for %s got %d, and %d orders are given: %s", c.who, c.site, a.status, b.given, a.text)
		}
	}
}

// The browser that sent the form waits no longer than the desk does.
func TestOrder_APanicEndsTheWaitingForIt(t *testing.T) {
	b := busy()
	f := newFixture(t, b)
	f.read(t)
	b.set(func() { b.panics = true })
	form := []string{"action", "lockdown", "site", "hq", "token", "T", "confirm", "hq"}
	if a := f.post(t, "otto", "/orders/give", form...); a.status != http.StatusInternalServerError {
		t.Errorf("it got %d: %s", a.status, a.text)
	}
	b.set(func() { b.panics = false })
	if a := f.post(t, "otto", "/orders/give", form...); a.status != http.StatusSeeOther {
		t.Errorf("sent again, it got %d: %s", a.status, a.text)
	}
}

// What somebody else put into the bucket must not hide an order, nor pass for a failure.
func TestOrders_InvalidEntriesAreSaidBesideTheOthers(t *testing.T) {
	b := busy()
	b.ordersErr = fmt.Errorf("%w: entry %q", visit.ErrInvalidOrder, "lockdown.site.plant")
	f := newFixture(t, b)
	go f.Run(t.Context())
	wait.Until(t, "all was asked", func() bool { return f.Ready() == nil })
	for _, stored := range [][]visit.Order{b.orders, {}} {
		b.set(func() { b.orders = stored })
		f.feed.Look(t.Context())
		for who, which := range map[string]string{"otto": "plant", "olga": "Those who may see every site"} {
			for _, text := range []string{f.get(t, who, "/orders").text, f.stream(t, who, "/events?of=orders", "entries")} {
				if !strings.Contains(text, "Single entries of the bucket are invalid") || !strings.Contains(text, which) || strings.Contains(text, "cannot be read") {
					t.Errorf("%s reads %s", who, text)
				}
				if in := strings.Contains(text, "Override</span>"); in != (len(stored) > 0) || in == strings.Contains(text, "No standing order is in force") {
					t.Errorf("with %d orders, %s reads %s", len(stored), who, text)
				}
			}
			a := f.get(t, who, "/")
			if !strings.Contains(a.text, "Single entries are invalid, and have no effect") || strings.Contains(a.text, "Unknown since") || who == "olga" && strings.Contains(a.text, "plant") {
				t.Errorf("%s reads %s", who, a.text)
			}
		}
	}
}
