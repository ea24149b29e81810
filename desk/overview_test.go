package desk

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/desk/live"
	"github.com/sine-relay/sine-relay/desk/stream"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

// Names that may appear nowhere but where somebody had them shown.
const (
	markedFirst, markedLast = "Zebedee", "Quillfeather"
	markedCompany           = "Marked Widgets"
	markedAnswer            = "+41 79 555 01 99"
)

// stored is a broker with one visit at each of two sites, of somebody who is marked.
func stored() *fakeBroker {
	b := &fakeBroker{}
	at := time.Now().Add(-10 * time.Minute)
	for _, site := range []string{"hq", "plant"} {
		origin := visit.Origin{
			Site: site, Integration: "lobby-" + site, Received: at.Add(time.Minute), Time: at.Add(time.Minute), TimeZone: "Europe/Zurich",
			RequestID: "EVNT" + site, Visit: visit.NewVisitKey("visit-" + site),
		}
		b.records = append(b.records, visit.Record{
			RequestID: "ASKED" + site + "0000000", Reference: "ASKED", Site: site, Integration: origin.Integration, Received: at,
			Visit: origin.Visit, Verdict: visit.Accept, Situation: "decided", Rule: "accepted", TookMs: 12.5, Policy: "p1",
			Votes: []visit.Vote{{Decider: "default", Version: "<b>1</b>", Situation: "decided", Verdict: visit.Accept, TookMs: 11}},
		})
		b.events = append(b.events, visit.Event{
			ID: fmt.Sprintf("%032x", len(site)), Kind: visit.KindCheckedIn, Origin: origin,
			Pass: visit.Pass{
				Person:  visit.Person{FirstName: markedFirst, LastName: markedLast, Mobile: markedAnswer},
				Company: markedCompany, FormAnswers: []visit.FormAnswer{{Label: "Mobile", Value: markedAnswer}},
			},
			Source: visit.Source(`{"name":"` + markedLast + `","mobile":"` + markedAnswer + `"}`),
		})
		b.relays = []visit.Relay{{ID: "RELAY1", Version: "v1", Started: at, RelayStatus: visit.RelayStatus{
			State: "ready", OrdersKnown: true, Sites: []string{"hq", "plant"}, SiteCount: 2,
		}}}
	}
	return b
}

func TestDoors_ShowTheSitesThatSomebodyMaySee(t *testing.T) {
	f := newFixture(t, stored())
	f.read(t)
	for who, want := range map[string][]bool{"vera": {true, true}, "rita": {true, false}, "otto": {true, true}} {
		a := f.get(t, who, "/")
		if a.status != http.StatusOK {
			t.Fatalf("%s got %d: %s", who, a.status, a.text)
		}
		for i, door := range []string{`id="door.hq.lobby-hq"`, `id="door.plant.lobby-plant"`} {
			if strings.Contains(a.text, door) != want[i] {
				t.Errorf("%s sees %s: %v", who, door, !want[i])
			}
		}
		if strings.Contains(a.text, "plant") && !want[1] {
			t.Errorf("%s learns that there is another site", who)
		}
	}
	if a := f.get(t, "nemo", "/"); a.status != http.StatusForbidden || strings.Contains(a.text, "hq") {
		t.Errorf("somebody without a role got %d: %s", a.status, a.text)
	}
}

func TestDoors_SayWhatIsNotKnown(t *testing.T) {
	f := newFixture(t, stored())
	f.read(t)
	if a := f.get(t, "vera", "/"); !strings.Contains(a.text, "Visitors can get in at all 2 doors.</strong> None needs attention.") || strings.Contains(a.text, "Not known at the moment") {
		t.Errorf("while all is well, it says %s", a.text)
	}
	f.broker.set(func() { f.broker.away = visit.ErrDisconnected })
	f.feed.Look(t.Context())
	a := f.get(t, "vera", "/")
	for _, want := range []string{"Not known at the moment", "NATS cannot be reached", "Unknown since", "Before: Nothing is wrong", "It is not known whether visitors can get in. 2 doors need attention."} {
		if !strings.Contains(a.text, want) {
			t.Errorf("NATS is away, and the page does not say %q: %s", want, a.text)
		}
	}
}

func TestDoors_SayFirstWhetherVisitorsCanGetIn(t *testing.T) {
	b := stored()
	b.orders = []visit.Order{{Kind: visit.OrderLockdown, Site: "plant", ID: "L", Since: time.Now().Add(-time.Minute)}}
	for i := range b.records {
		b.records[i].Situation, b.records[i].Fallback = "timeout", true
	}
	f := newFixture(t, b)
	f.read(t)
	for who, want := range map[string]string{
		"vera": "Visitors can get in at 0 of 2 doors.</strong> At 1 they cannot. At 1 the fallback answers instead of a decision. 2 doors need attention.",
		"rita": "Visitors can get in at 0 of 1 door.</strong> At 1 the fallback answers instead of a decision. 1 door needs attention.",
	} {
		if a := f.get(t, who, "/"); !strings.Contains(a.text, want) {
			t.Errorf("%s reads %s", who, a.text)
		}
	}
	if a := f.get(t, "vera", "/"); !strings.Contains(a.text, `<p class="also">On fallback timeout since`) || !strings.Contains(a.text, `<p class="also">Order not obeyed: Relay`) {
		t.Errorf("what holds beside a lockdown has no title, or has it twice: %s", a.text)
	}
}

func TestDoors_SayThatTheyAreNotReadYet(t *testing.T) {
	f := newFixture(t, stored())
	a := f.get(t, "vera", "/")
	if !strings.Contains(a.text, "not read yet") || f.Ready() == nil {
		t.Errorf("the desk is ready (%v) and says %s", f.Ready(), a.text)
	}
}

// stream follows a page's events, until one has a text in it.
func (f *fixture) stream(t *testing.T, who, path, wanted string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(wait.Context(t, wait.Limit), http.MethodGet, f.server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-User", who)
	req.Header.Set("X-Groups", people[who])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all strings.Builder
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		all.WriteString(data)
		var u stream.Update
		if err := json.Unmarshal([]byte(data), &u); err == nil {
			for _, part := range u.Parts {
				all.WriteString(part)
			}
			all.WriteString(u.Prepend)
		}
		if strings.Contains(all.String(), wanted) {
			return all.String()
		}
	}
	t.Fatalf("%s never got %q: %s", who, wanted, all.String())
	return ""
}

func TestStream_SaysWhenADoorChanges(t *testing.T) {
	f := newFixture(t, stored())
	f.read(t)
	go func() {
		wait.For(func() bool { return f.streams.Viewers() == 1 })
		f.broker.set(func() { f.broker.away = visit.ErrDisconnected })
		f.feed.Look(t.Context())
	}()
	f.stream(t, "rita", "/events?of=doors", "NATS cannot be reached")
}

func TestStream_OfWhatHappensHasNobodysNameAndNoOtherSite(t *testing.T) {
	b := stored()
	begun := make(chan func(), 1)
	b.follow = func(record func(visit.Record), event func(visit.Event), state func(error)) {
		state(nil)
		begun <- func() {
			for i := range b.events {
				record(b.records[i])
				event(b.events[i])
			}
		}
	}
	f := newFixture(t, b)
	f.read(t)
	happen := <-begun
	go func() {
		wait.For(func() bool { return f.streams.Viewers() == 1 })
		happen()
	}()
	text := f.stream(t, "rita", "/events?of=live", "Check-in<")
	for _, never := range []string{markedFirst, markedLast, markedCompany, markedAnswer, "plant"} {
		if strings.Contains(text, never) {
			t.Errorf("the stream has %q: %s", never, text)
		}
	}
	if a := f.get(t, "otto", "/live?site=plant"); strings.Contains(a.text, "lobby-hq") || !strings.Contains(a.text, "lobby-plant") || strings.Contains(a.text, markedLast) {
		t.Errorf("the page shows %s", a.text)
	}
}

// Who is on call looks at the doors and at what happens, and not at each visit.
func TestDoors_AndLiveShowWhoWasRejectedAndYetCheckedIn(t *testing.T) {
	b := stored()
	b.records[0].Verdict, b.records[0].Reference = visit.Reject, "TURND"
	f := newFixture(t, b)
	f.read(t)
	for i := range b.events {
		f.live.Add(live.OfEvent(&b.events[i]))
	}
	const door, entry = "1 visitor rejected and yet checked in within a day", "rejected before"
	for path, want := range map[string]string{"/": door, "/live": entry, "/events?of=doors": door, "/events?of=live": entry} {
		if strings.HasPrefix(path, "/events") {
			f.stream(t, "vera", path, want)
			continue
		}
		text := f.get(t, "vera", path).text
		if strings.Count(text, want) != 1 {
			t.Errorf("%s says %d times %q: %s", path, strings.Count(text, want), want, text)
		}
		checkHTML(t, path, text)
	}
	if text := f.get(t, "vera", "/").text; !strings.Contains(text, ">TURND</a>") {
		t.Errorf("the door does not lead to the visit: %s", text)
	}
}
