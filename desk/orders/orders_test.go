package orders

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

var noon = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

// What is shown before a lockdown is what relays will show.
func TestPreview_DefaultTextIsThatOfTheRelays(t *testing.T) {
	source, err := os.ReadFile("../../relay/policy/orders.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(source), fmt.Sprintf("%q", DefaultLockdownText)) {
		t.Errorf("relay/policy has another text than %q", DefaultLockdownText)
	}
}

func TestPreview_IsWhatVisitorsRead(t *testing.T) {
	for want, f := range map[string]Form{
		"Please wait":   {Action: Lockdown, Message: " Please wait "},
		"Closed. K7Q2M": {Action: Override, Message: "Closed. {ref}"},
		"":              {Action: Override, Message: " "},
		"This site is closed to visitors at the moment. Please see reception. Reference K7Q2M.": {Action: Lockdown, Message: "\u200b"},
		"Welcome": {Action: Override, Message: "Wel\u202ecome"},
	} {
		if got := f.Preview(); got != want {
			t.Errorf("%+v shows %q", f, got)
		}
	}
}

func TestConfirmation_IsTheNameOfTheSite(t *testing.T) {
	for typed, want := range map[string]bool{"hq": true, " HQ ": true, "": false, "h": false, "all sites": false} {
		if (Form{Site: "hq"}).Confirmed(typed) != want {
			t.Errorf("%q confirms: %v", typed, !want)
		}
	}
	if f := (Form{Site: visit.AllSites}); f.Confirmed("*") || !f.Confirmed("All sites") {
		t.Error("for all sites, * confirms or the words do not")
	}
}

func TestAnswers_SayWhichRelaysObey(t *testing.T) {
	relay := func(id, site string, orders ...string) visit.Relay {
		r := visit.Relay{ID: id, RelayStatus: visit.RelayStatus{State: "ready", OrdersKnown: true, Sites: []string{site}, SiteCount: 1, OrdersRevision: 5}}
		for _, o := range orders {
			r.Orders = append(r.Orders, visit.RelayOrder{Kind: visit.OrderLockdown, Site: "hq", ID: o})
		}
		return r
	}
	lockdown := Given{Form: Form{Action: Lockdown, Kind: visit.OrderLockdown, Site: "hq"}, Order: visit.Order{ID: "L"}}
	lift := Given{Form: Form{Action: Lift, Kind: visit.OrderLockdown, Site: "hq"}, Revision: 5}
	later := lift
	later.Revision = 6
	gone := lockdown
	gone.Before = []visit.Relay{relay("B", "hq"), relay("C", "plant")}
	for name, c := range map[string]struct {
		given    Given
		now      []visit.Relay
		obeying  int
		of       int
		complete bool
	}{
		"all obey":                        {lockdown, []visit.Relay{relay("A", "hq", "L"), relay("B", "hq", "L")}, 2, 2, true},
		"one does not":                    {lockdown, []visit.Relay{relay("A", "hq", "L"), relay("B", "hq", "other")}, 1, 2, false},
		"one has another site":            {lockdown, []visit.Relay{relay("A", "hq", "L"), relay("B", "plant")}, 1, 1, true},
		"none answers":                    {lockdown, nil, 0, 0, false},
		"one does not answer any more":    {gone, []visit.Relay{relay("A", "hq", "L")}, 1, 2, false},
		"a lift that all obey":            {lift, []visit.Relay{relay("A", "hq")}, 1, 1, true},
		"a lift, and one obeys the order": {lift, []visit.Relay{relay("A", "hq", "L")}, 0, 1, false},
		"a lift that was not read yet":    {later, []visit.Relay{relay("A", "hq")}, 0, 1, false},
	} {
		if a := c.given.Answers(c.now); a.Obeying != c.obeying || a.Of != c.of || a.Complete() != c.complete {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestBy_IsWhatAnOrderTakes(t *testing.T) {
	long := strings.Repeat("é\n\x1b", 200)
	for _, c := range [][2]string{{long, ""}, {"", long}, {long, "user-7"}, {"ada", long}} {
		by := By(c[0], c[1])
		o := visit.Order{Kind: visit.OrderLockdown, Site: "hq", By: by}
		if err := o.Validate(); err != nil || len([]rune(by)) != 100 {
			t.Errorf("%q: %v", by, err)
		}
		if c[1] == "user-7" && !strings.HasSuffix(by, " (user-7)") {
			t.Errorf("%q has no ID", by)
		}
	}
}

func TestBy_ANameNeverStandsWithoutTheID(t *testing.T) {
	for want, c := range map[string][2]string{
		"Ada Example (user-7)": {"Ada Example", "user-7"}, "ada": {"ada", "ada"}, "user-7": {"", "user-7"}, "user-8": {" ", "user-8"},
	} {
		if got := By(c[0], c[1]); got != want {
			t.Errorf("%v is %q", c, got)
		}
	}
}

func TestWords_AreThoseOfPeople(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"24 hours": 24 * time.Hour, "1 hour": time.Hour, "1 hour 30 minutes": 90 * time.Minute, "15 minutes": 15 * time.Minute, "2 minutes 1 second": 121 * time.Second,
	} {
		if got := Words(d); got != want {
			t.Errorf("%s is %q", d, got)
		}
	}
}

func TestBook_GivesOnceForAToken(t *testing.T) {
	var b Book
	if !b.Begin("T") || b.Begin("T") {
		t.Error("two began, or none")
	}
	go b.Note("T", &Given{At: noon})
	if g := b.Find(t.Context(), "T"); g == nil || !g.At.Equal(noon) {
		t.Errorf("it is %+v", g)
	}
	b.Begin("F")
	b.Note("F", nil)
	if b.Find(t.Context(), "F") != nil || !b.Begin("F") {
		t.Error("what failed cannot be tried again")
	}
	b.Note("F", nil)
	for i := range 10 * maxGiven {
		b.Begin(fmt.Sprint(i))
		b.Note(fmt.Sprint(i), &Given{})
	}
	if len(b.all) > maxGiven || len(b.done) > maxGiven || b.Find(t.Context(), "T") != nil {
		t.Errorf("%d are remembered", len(b.all))
	}
}

// Whoever sent a form twice waits for the first one, however many others are given.
func TestBook_WhatIsBeingGivenIsNotForgotten(t *testing.T) {
	var b Book
	b.Begin("slow")
	for i := range 2 * maxGiven {
		b.Begin(fmt.Sprint(i))
		b.Note(fmt.Sprint(i), &Given{})
	}
	if b.Begin("slow") {
		t.Error("it is given twice")
	}
	found := make(chan *Given)
	go func() { found <- b.Find(t.Context(), "slow") }()
	b.Note("slow", &Given{At: noon})
	if g := <-found; g == nil || !g.At.Equal(noon) {
		t.Errorf("it is %+v", g)
	}
}

// What relays say is read once, whatever they name: an answer of a relay may have
// thousands of orders, and an order must not wait for the page that lists them.
func TestLost_IsBoundedForEachRelayAndInAll(t *testing.T) {
	said := func(relay string, n int) visit.Relay {
		r := visit.Relay{ID: relay, RelayStatus: visit.RelayStatus{Sites: []string{"hq"}, SiteCount: 1}}
		for i := range n {
			r.Orders = append(r.Orders, visit.RelayOrder{Kind: visit.OrderLockdown, Site: "hq", ID: fmt.Sprint(relay, "-", i), Lost: true})
		}
		return r
	}
	lost, more := Lost([]visit.Relay{said("A", 5000), said("B", 1)}, []visit.Order{{ID: "A-0"}})
	if len(lost) != maxLostOfOne+1 || !more || lost[0].ID != "A-1" || lost[maxLostOfOne].ID != "B-0" {
		t.Errorf("%d are listed, more: %v", len(lost), more)
	}
	var many []visit.Relay
	for i := range 20 {
		many = append(many, said(fmt.Sprint("R", i), maxLostOfOne))
	}
	if lost, more := Lost(many, nil); len(lost) != maxLost || !more {
		t.Errorf("%d are listed of many relays, more: %v", len(lost), more)
	}
	if lost, more := Lost([]visit.Relay{said("A", 2), said("A", 2)}, nil); len(lost) != 2 || more {
		t.Errorf("%d are listed of two, more: %v", len(lost), more)
	}
}

func TestCountObeying_SaysWhatTheAnswersSay(t *testing.T) {
	relay := func(id string, hidden int, sites []string, obeyed ...string) visit.Relay {
		r := visit.Relay{ID: id, RelayStatus: visit.RelayStatus{Sites: sites, SiteCount: len(sites) + hidden}}
		for _, o := range obeyed {
			r.Orders = append(r.Orders, visit.RelayOrder{ID: o})
		}
		return r
	}
	relays := []visit.Relay{
		relay("A", 0, []string{"hq", "lab", "hq"}, "H", "L", "H"), relay("B", 0, []string{"lab"}, "H", "E"), relay("C", 3, nil, "H", "L"), relay("D", 0, []string{"hq"}),
	}
	all := []visit.Order{
		{Kind: visit.OrderLockdown, Site: "hq", ID: "H"}, {Kind: visit.OrderLockdown, Site: "lab", ID: "L"},
		{Kind: visit.OrderLockdown, Site: visit.AllSites, ID: "E"}, {Kind: visit.OrderLockdown, Site: "nowhere", ID: "N"}, {Kind: visit.OrderLockdown, ID: "E"},
	}
	for i, got := range CountObeying(relays, all) {
		site := all[i].Site
		if site == "" {
			site = visit.AllSites
		}
		a := (&Given{Form: Form{Action: Lockdown, Kind: visit.OrderLockdown, Site: site}, Order: all[i]}).Answers(relays)
		if got != (Count{a.Obeying, a.Of}) {
			t.Errorf("order %d: %+v, want %d of %d", i, got, a.Obeying, a.Of)
		}
	}
}

// What is pasted from elsewhere may have characters that nobody sees.
func TestRead_TakesTextsWithoutInvisibleCharacters(t *testing.T) {
	f := Read(func(name string) string {
		return map[string]string{"action": "lockdown", "site": "hq", "reason": " fire\r\ndrill ", "message": "Call \u202a+49 30 1\u202c\ufeff"}[name]
	})
	if f.Reason != "fire drill" || f.Message != "Call +49 30 1" {
		t.Errorf("it is %q, %q", f.Reason, f.Message)
	}
	if _, err := f.Order(noon, "ada", time.Hour); err != nil {
		t.Error(err)
	}
}
