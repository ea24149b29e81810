package doors

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

var noon = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

// site is a model whose clock a test turns, and in which everything can be read.
type site struct {
	*Model
	now    time.Time
	relays []visit.Relay
	orders []visit.Order
}

func newSite() *site {
	s := &site{now: noon}
	s.Model = New(visit.Subjects{}, func() time.Time { return s.now })
	s.relays = []visit.Relay{relay("R1")}
	s.readable()
	return s
}

func relay(id string) visit.Relay {
	return visit.Relay{ID: id, Started: noon.Add(-day), RelayStatus: visit.RelayStatus{
		State: "ready", OrdersKnown: true, Sites: []string{"hq"}, SiteCount: 1,
	}}
}

// readable asks everything again.
func (s *site) readable() {
	for _, source := range []Source{NATS, History, Following} {
		s.Note(source, nil)
	}
	s.Discovered(s.relays, nil, nil, nil)
	s.Model.Orders(s.orders, nil)
}

// answered notes check-in requests, each some time before noon.
func (s *site) answered(situation string, ago ...time.Duration) {
	for _, d := range ago {
		s.Record(&visit.Record{
			Site: "hq", Integration: "lobby", Received: noon.Add(-d), Situation: situation, Verdict: visit.Accept,
			Fallback: situation != "decided" && situation != "orders_unknown", TookMs: 10,
		})
	}
}

func (s *site) door(t *testing.T) Door {
	t.Helper()
	v := s.View(func(string) bool { return true })
	if len(v.Doors) != 1 {
		t.Fatalf("%d doors, want one", len(v.Doors))
	}
	return v.Doors[0]
}

func minutes(n ...int) (all []time.Duration) {
	for _, m := range n {
		all = append(all, time.Duration(m)*time.Minute)
	}
	return all
}

func TestDoor_SaysWhatIsWrongAndWhy(t *testing.T) {
	lockdown := visit.Order{Kind: visit.OrderLockdown, Site: "hq", ID: "L", By: "ada", Reason: "fire drill", Since: noon.Add(-time.Minute)}
	override := visit.Order{Kind: visit.OrderOverride, Site: "*", ID: "O", Reason: "outage", Since: noon.Add(-time.Minute), Until: noon.Add(time.Hour)}
	obeying := relay("R1")
	obeying.Orders = []visit.RelayOrder{{Kind: visit.OrderLockdown, Site: "hq", ID: "L"}, {Kind: visit.OrderOverride, Site: "*", ID: "O"}}
	for name, c := range map[string]struct {
		prepare func(*site)
		state   State
		text    string
	}{
		"a door that decides": {func(s *site) { s.answered("decided", minutes(3)...) }, Answering, "Last received 11:57:00"},
		"a lockdown": {func(s *site) {
			s.answered("decided", minutes(3)...)
			s.orders, s.relays = []visit.Order{lockdown}, []visit.Relay{obeying}
		}, LockedDown, "Locked down since 11:59:00 by ada, this site, until it is lifted. Reason: fire drill"},
		"a lockdown that has ended": {func(s *site) {
			s.answered("decided", minutes(3)...)
			ended := lockdown
			ended.Until = noon
			s.orders = []visit.Order{ended}
		}, Answering, "Nothing is wrong"},
		"a lockdown that NATS has lost": {func(s *site) {
			s.answered("decided", minutes(3)...)
			lost := relay("R1")
			lost.Orders = []visit.RelayOrder{{Kind: visit.OrderLockdown, Site: "hq", ID: "L", Lost: true}}
			s.relays = []visit.Relay{lost}
		}, LockedDown, "obeys an order that NATS has lost"},
		"an override of all sites": {func(s *site) {
			s.answered("decided", minutes(3)...)
			s.orders, s.relays = []visit.Order{override}, []visit.Relay{obeying}
		}, Overridden, "Overridden since 11:59:00, all sites, until 13:00:00. Reason: outage"},
		"a last visitor without a decision": {func(s *site) {
			s.answered("decided", minutes(20, 10)...)
			s.answered("timeout", minutes(2)...)
		}, OnFallback, "On fallback timeout since 11:58:00: no decision came in time. 1 of the last 3 check-in requests got no decision: 1 let in, 0 rejected."},
		"several without a decision, and one with": {func(s *site) {
			s.answered("no_decider", minutes(8, 7, 6)...)
			s.answered("decided", minutes(5)...)
		}, OnFallback, "since 11:52:00: no program answers for the decider. 3 of the last 4 check-in requests"},
		"several, and then three in a row with": {func(s *site) {
			s.answered("no_decider", minutes(8, 7, 6)...)
			s.answered("decided", minutes(5, 4, 3)...)
		}, Answering, ""},
		"one without a decision after another trouble": {func(s *site) {
			s.answered("no_decider", minutes(20, 19)...)
			s.answered("decided", minutes(18)...)
			s.answered("timeout", minutes(2, 1)...)
		}, OnFallback, "On fallback timeout since 11:58:00: no decision came in time. 4 of the last 5 check-in requests got no decision: 4 let in, 0 rejected. Of these, 2 for another reason."},
		"one without a decision long ago": {func(s *site) {
			s.answered("timeout", minutes(30)...)
			s.answered("decided", minutes(5, 4, 3)...)
		}, Answering, ""},
		"one call that lacks a field":         {func(s *site) { s.answered("incomplete", minutes(1)...); s.answered("decided", minutes(2)...) }, Answering, ""},
		"many calls that lack a field":        {func(s *site) { s.answered("incomplete", minutes(1, 2, 3)...) }, OnFallback, "lacks a field"},
		"visitors whom no condition concerns": {func(s *site) { s.answered("unasked", minutes(1, 2, 3)...) }, Answering, ""},
		"orders that the relay does not know": {func(s *site) { s.answered("orders_unknown", minutes(1)...) }, OnFallback, "does not know the standing orders"},
		"no relay":                            {func(s *site) { s.answered("decided", minutes(3)...); s.relays = nil }, NoRelay, "No relay answers for it."},
		"a relay that does not obey": {func(s *site) {
			s.answered("decided", minutes(3)...)
			s.orders = []visit.Order{override}
		}, NotObeyed, "Relay R1 does not obey the override given 11:59:00."},
		"a relay that does not know the orders": {func(s *site) {
			s.answered("decided", minutes(3)...)
			s.relays[0].OrdersKnown = false
		}, NotObeyed, "Relay R1 does not know the standing orders"},
		"a decider of which no program answers": {func(s *site) {
			s.answered("decided", minutes(3)...)
			s.relays[0].Integrations = []visit.RelayIntegration{{Name: "lobby", Site: "hq", Deciders: []string{"watchlist"}}}
		}, NoDecider, "No program answers for the decider watchlist."},
		"an override in place of a decider that is gone": {func(s *site) {
			s.answered("no_decider", minutes(3, 2)...)
			s.orders, s.relays = []visit.Order{override}, []visit.Relay{obeying}
			s.relays[0].Integrations = []visit.RelayIntegration{{Name: "lobby", Site: "hq", Deciders: []string{"watchlist"}}}
		}, Overridden, "Reason: outage"},
		"a configuration that is invalid": {func(s *site) {
			s.answered("decided", minutes(3)...)
			s.relays[0].Integrations = []visit.RelayIntegration{{Name: "lobby", Site: "hq", Invalid: true}}
		}, Invalid, "all calls of Sine are answered 401"},
		"a field that is missing": {func(s *site) {
			s.answered("decided", minutes(3)...)
			s.relays[0].Integrations = []visit.RelayIntegration{{Name: "lobby", Site: "hq", Drifting: []string{"company"}}}
		}, Drifting, "Missing from what Sine sends, and there before: company."},
		"a relay that a person must mend": {func(s *site) {
			s.answered("decided", minutes(3)...)
			s.relays[0].Impaired = "the stream VISITORS is full"
		}, Impaired, "Relay R1: the stream VISITORS is full."},
		"a spool that is almost full": {func(s *site) {
			s.answered("decided", minutes(3)...)
			s.relays[0].SpoolFull = 0.9
		}, Impaired, "The spool of relay R1 is full to 90 %."},
		"an integration that was never called": {func(s *site) {
			s.relays[0].Integrations = []visit.RelayIntegration{{Name: "lobby", Site: "hq"}}
		}, NeverUsed, "Nothing was received yet"},
		"an integration that was called": {func(s *site) {
			s.relays[0].Integrations = []visit.RelayIntegration{{Name: "lobby", Site: "hq", LastReceived: noon.Add(-time.Minute)}}
		}, Answering, "Last received 11:59:00"},
		"a morning without a visitor": {func(s *site) {
			s.answered("decided", minutes(90, 24*60-5, 24*60-10, 24*60-15, 24*60-20, 24*60-25)...)
		}, Silent, "Nothing was received since 10:30:00. On the day before there were 5 in the same time."},
		"a night without a visitor": {func(s *site) { s.answered("decided", minutes(300)...) }, Answering, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite()
			c.prepare(s)
			s.readable()
			if d := s.door(t); d.State != c.state || !strings.Contains(d.Text, c.text) {
				t.Errorf("it is %s: %s", d.State, d.Text)
			}
		})
	}
}

func TestDoor_SilenceIsANote(t *testing.T) {
	s := newSite()
	s.answered("decided", minutes(90, 24*60-5, 24*60-10, 24*60-15, 24*60-20, 24*60-25)...)
	s.orders = []visit.Order{{Kind: visit.OrderOverride, Site: "*", ID: "O", Reason: "outage", Since: noon, Until: noon.Add(time.Hour)}}
	s.readable()
	if d := s.door(t); d.State != Overridden || d.Others[0].State != Silent || d.Entry() != Open {
		t.Errorf("beside an override it is %s, and %v", d.State, d.Others)
	}
	s.orders = nil
	s.readable()
	if d := s.door(t); !d.State.Good() || d.Entry() != Open {
		t.Errorf("it needs attention: %s", d.Text)
	}
}

func TestDoor_AFallbackThatIsTooLittleForAStateIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*site)
		want    string
	}{
		"none": {func(s *site) { s.answered("decided", minutes(1, 2)...) }, ""},
		"the last one, which cannot be read": {func(s *site) { s.answered("unreadable", minutes(1)...); s.answered("decided", minutes(2, 3)...) },
			"A fallback answered 1 of the last 3 check-in requests: what Sine sent cannot be read"},
		"two, for two reasons": {func(s *site) {
			s.answered("decided", minutes(1, 2, 3)...)
			s.answered("timeout", minutes(4)...)
			s.answered("incomplete", minutes(5)...)
		}, "A fallback answered 2 of the last 5 check-in requests: no decision came in time, 1 of these for another reason"},
		"so many that it is a state": {func(s *site) { s.answered("timeout", minutes(1, 2, 3)...) }, ""},
	} {
		s := newSite()
		c.prepare(s)
		s.readable()
		if d := s.door(t); d.ByFallback != c.want {
			t.Errorf("%s: %q, while it is %s", name, d.ByFallback, d.State)
		}
	}
}

func TestEntry_IsTheWorstOfAllThatHolds(t *testing.T) {
	for want, states := range map[Entry][]State{
		Open: {Overridden, Silent}, ByFallback: {OnFallback, Drifting}, Closed: {OnFallback, NoRelay}, EntryUnknown: {Unknown},
	} {
		d := Door{Finding: Finding{State: states[0]}}
		for _, s := range states[1:] {
			d.Others = append(d.Others, Finding{State: s})
		}
		if d.Entry() != want {
			t.Errorf("%v is %d", states, d.Entry())
		}
	}
}

func TestDoor_NothingSinceADayIsSilence(t *testing.T) {
	s := newSite()
	s.answered("decided", minutes(1)...)
	s.now = noon.Add(25 * time.Hour)
	s.readable()
	if d := s.door(t); d.State != Silent || d.Text != "Nothing was received since Wed 11:59." {
		t.Errorf("it is %s: %s", d.State, d.Text)
	}
}

func TestDoor_WorstIsSaidFirstAndTheRestBesideIt(t *testing.T) {
	s := newSite()
	s.answered("timeout", minutes(1)...)
	s.orders = []visit.Order{{Kind: visit.OrderLockdown, Site: "hq", ID: "L", Since: noon.Add(-time.Minute)}}
	s.readable()
	d := s.door(t)
	states := []State{d.State}
	for _, f := range d.Others {
		states = append(states, f.State)
	}
	if fmt.Sprint(states) != "[locked_down on_fallback order_not_obeyed]" {
		t.Errorf("the states are %v", states)
	}
}

func TestDecider_ThatIsNoMicroServiceIsNotMissedWhileItDecides(t *testing.T) {
	s := newSite()
	s.relays[0].Integrations = []visit.RelayIntegration{{Name: "lobby", Site: "hq", Deciders: []string{"watchlist"}}}
	s.Record(&visit.Record{
		Site: "hq", Integration: "lobby", Received: noon, Situation: "decided", Votes: []visit.Vote{{Decider: "watchlist", Situation: "decided"}},
	})
	s.readable()
	if d := s.door(t); d.State != NotSeen || !d.State.Good() || !strings.Contains(d.Text, "the decider watchlist, which decided last 12:00:00") {
		t.Errorf("it was never found, and is %s: %s", d.State, d.Text)
	}
	s.Discovered(s.relays, nil, []visit.Decider{{ID: "D", Subjects: []string{"visitors.v1.ask.*.watchlist"}}}, nil)
	if d := s.door(t); d.State != Answering || d.Deciders[0].Programs != 1 {
		t.Errorf("it is found, and is %s: %s", d.State, d.Text)
	}
	s.readable()
	if d := s.door(t); d.State != NoDecider {
		t.Errorf("it is found no more, and is %s: %s", d.State, d.Text)
	}
}

func TestRelay_MissingOnceIsSaidUntilAnotherIsStarted(t *testing.T) {
	s := newSite()
	s.answered("decided", minutes(1)...)
	s.relays = []visit.Relay{relay("R1"), relay("R2")}
	s.readable()
	s.now = noon.Add(10 * time.Minute)
	s.relays = []visit.Relay{relay("R1")}
	s.readable()
	if d := s.door(t); d.State != RelayMissing || d.Text != "1 of 2 relays answer. Relay R2 has not answered since 12:00:00." {
		t.Errorf("it is %s: %s", d.State, d.Text)
	}
	next := relay("R3")
	next.Started = noon.Add(9 * time.Minute)
	s.relays = append(s.relays, next)
	s.readable()
	if d := s.door(t); d.State != Answering {
		t.Errorf("another was started, and it is %s: %s", d.State, d.Text)
	}
}

func TestDoor_CountsADay(t *testing.T) {
	s := newSite()
	for i := range 100 {
		s.Record(&visit.Record{
			Site: "hq", Integration: "lobby", Received: noon.Add(-time.Duration(i) * time.Minute), Situation: "decided",
			TookMs: float64(i + 1),
		})
	}
	s.Record(&visit.Record{Site: "hq", Integration: "lobby", Received: noon.Add(-26 * time.Hour), Situation: "timeout", Fallback: true})
	s.Record(&visit.Record{Site: "hq", Integration: "lobby", Received: noon, Situation: "timeout", Fallback: true, Synthetic: true})
	in := visit.Origin{Site: "hq", Integration: "lobby", Received: noon.Add(-time.Hour), TimeZone: "Europe/Zurich"}
	s.Event(&visit.Event{Kind: visit.KindCheckedIn, Origin: in})
	s.Event(&visit.Event{Kind: visit.KindCheckedIn, Origin: in, Corrects: "x"})
	s.Event(&visit.Event{Kind: visit.KindCheckedOut, Origin: in})
	d := s.door(t)
	if d.State != Answering || d.Zone.String() != "Europe/Zurich" || !strings.Contains(d.Text, "13:00:00") {
		t.Errorf("it is %s in %s: %s", d.State, d.Zone, d.Text)
	}
	within := func(took time.Duration, ms float64) bool {
		return took.Seconds()*1000 > ms*0.88 && took.Seconds()*1000 < ms*1.12
	}
	if !within(d.Took.Median, 50) || !within(d.Took.P95, 95) {
		t.Errorf("median %s, 95th %s", d.Took.Median, d.Took.P95)
	}
	sum := 0
	for _, n := range d.Requests {
		sum += n
	}
	if sum != 100 || d.CheckIns[22]+d.CheckIns[21] != 1 || !d.LastCheckOut.Equal(in.Received) {
		t.Errorf("%d requests, check-ins %v, last check-out %s", sum, d.CheckIns, d.LastCheckOut)
	}
}

func TestDoor_ThatNoRelayHasAnyMoreIsForgottenAfterADay(t *testing.T) {
	s := newSite()
	s.answered("decided", minutes(1)...)
	s.relays[0].Integrations, s.relays[0].IntegrationCount = []visit.RelayIntegration{{Name: "lobby", Site: "hq", Invalid: true, Drifting: []string{"company"}}}, 1
	s.readable()
	if d := s.door(t); d.State != Invalid {
		t.Errorf("it is %s: %s", d.State, d.Text)
	}
	s.relays[0].Integrations = []visit.RelayIntegration{{Name: "other", Site: "plant"}}
	s.relays[0].Sites = []string{"plant"}
	s.readable()
	v := s.View(func(site string) bool { return site == "hq" })
	if d := v.Doors[0]; d.State != NoRelay || len(d.Others) != 0 {
		t.Errorf("it is %s: %s, and %v", d.State, d.Text, d.Others)
	}
	s.now = noon.Add(25 * time.Hour)
	s.readable()
	s.readable()
	if v := s.View(func(site string) bool { return site == "hq" }); len(v.Doors) != 0 {
		t.Errorf("it is %+v", v.Doors)
	}
}

func TestDoors_OfOtherSitesAreNotShown(t *testing.T) {
	s := newSite()
	s.answered("decided", minutes(1)...)
	if v := s.View(func(site string) bool { return site != "hq" }); len(v.Doors) != 0 {
		t.Errorf("%d doors are shown", len(v.Doors))
	}
}

// What a relay says of itself may name a site that not everybody may see.
func TestRelay_SaysWhatIsImpairedToThoseWhoMaySeeItsSites(t *testing.T) {
	s := newSite()
	s.answered("decided", minutes(3)...)
	s.relays[0].Sites, s.relays[0].SiteCount = []string{"hq", "plant"}, 2
	s.relays[0].Impaired = "the order lockdown.site.plant is invalid"
	s.readable()
	for name, c := range map[string]struct {
		may  []string
		want bool
	}{"one of its sites": {[]string{"hq"}, false}, "all of its sites": {[]string{"hq", "plant"}, true}, "every site": {[]string{visit.AllSites, "hq", "plant"}, true}} {
		v := s.View(func(site string) bool { return slices.Contains(c.may, site) })
		for _, text := range []string{v.Doors[0].Text, v.Relays[0].Impaired} {
			if strings.Contains(text, "plant") != c.want || !c.want && !strings.Contains(text, "Ask somebody who may see every site") {
				t.Errorf("who may see %s reads %s", name, text)
			}
		}
	}
}

func TestDoors_NamesThatAreNoneAreLeftOut(t *testing.T) {
	s := newSite()
	s.Record(&visit.Record{Site: "hq.>", Integration: "<script>", Received: noon})
	if v := s.View(func(string) bool { return true }); len(v.Doors) != 0 {
		t.Errorf("%d doors are shown", len(v.Doors))
	}
}

func TestStates_EachHasWords(t *testing.T) {
	for _, s := range States {
		if s.Title() == "" || !strings.HasSuffix(s.Meaning(), ".") {
			t.Errorf("%s has no words", s)
		}
	}
}
