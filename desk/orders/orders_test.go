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
	for i := range 10 * maxGiven {
		b.Begin(fmt.Sprint(i))
		b.Note(fmt.Sprint(i), &Given{})
	}
	if len(b.all) > maxGiven || len(b.tokens) > maxGiven || b.Find(t.Context(), "T") != nil {
		t.Errorf("%d are remembered", len(b.all))
	}
}
