package doors

import (
	"fmt"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// hostile is what a search for relays can be answered with: each names the site of all
// doors, or none of its own, and orders without end.
func hostile(n int, named bool) (all []visit.Relay) {
	for i := range n {
		r := relay(fmt.Sprint("H", i))
		if !named {
			r.Sites, r.SiteCount = nil, 1
		}
		for o := range 200 {
			r.Orders = append(r.Orders, visit.RelayOrder{Kind: visit.OrderLockdown, Site: "elsewhere", ID: fmt.Sprint(i, "-", o), Lost: true})
		}
		all = append(all, r)
	}
	return all
}

// looked counts what a view of all doors goes through: relays, and orders of each.
func (s *site) looked() (n int) {
	for _, d := range s.doors {
		n += len(d.relays) + len(s.index.concerned(d.site))*(1+len(s.ordersFor(d.site))) + len(d.had)
	}
	return n
}

// Each door looks at so many relays, whatever answers: with every relay at every door the
// work would grow with the product of both, and did with the square of the relays.
func TestIndex_TheWorkForADoorDoesNotGrowWithTheRelays(t *testing.T) {
	const count = 500
	for name, named := range map[string]bool{"relays that name its site": true, "relays that name no site": false} {
		t.Run(name, func(t *testing.T) {
			work := map[int]int{}
			for _, relays := range []int{maxRelays, 15 * maxRelays} {
				s := newSite()
				for i := range count {
					s.Record(&visit.Record{Site: "hq", Integration: fmt.Sprint("door-", i), Received: noon, Situation: "decided"})
				}
				for i := range count {
					s.orders = append(s.orders, visit.Order{Kind: visit.OrderLockdown, Site: fmt.Sprint("site-", i), ID: fmt.Sprint(i), Since: noon})
				}
				s.relays = hostile(relays, named)
				s.readable()
				work[relays] = s.looked()
				if v := s.View(func(string) bool { return true }); len(v.Doors) != count || v.Doors[0].Relays != maxRelays || v.Doors[0].State == NoRelay {
					t.Fatalf("%d doors, the first is %+v", len(v.Doors), v.Doors[0])
				}
				gaps := s.Gaps()
				if cut := relays > maxRelays; cut != (len(gaps) == 1 && gaps[0].Source == Relays && gaps[0].Partly) {
					t.Errorf("of %d relays, what is not known is %+v", relays, gaps)
				}
			}
			if small, large := work[maxRelays], work[15*maxRelays]; large > small || small > count*4*maxRelays {
				t.Errorf("%d are looked at for %d relays, and %d for 15 times as many", small, maxRelays, large)
			}
		})
	}
}

func TestIndex_IsOfTheNamesThatRelaysMayHave(t *testing.T) {
	r := relay("R1")
	r.Sites = nil
	for i := range 3 * visit.MaxRelaySites {
		r.Sites = append(r.Sites, fmt.Sprint("site-", i))
		r.Integrations = append(r.Integrations, visit.RelayIntegration{Name: fmt.Sprint("door-", i), Site: "hq"})
	}
	r.SiteCount, r.IntegrationCount = len(r.Sites), len(r.Integrations)
	s := newSite()
	s.relays = []visit.Relay{r, r}
	s.readable()
	if len(s.index.bySite) != visit.MaxRelaySites || len(s.index.anywhere) != 1 || len(s.doors) != visit.MaxRelaySites {
		t.Errorf("%d sites, %v anywhere, %d doors", len(s.index.bySite), s.index.anywhere, len(s.doors))
	}
	s.relays = nil
	for i := range 20 {
		other := relay(fmt.Sprint("R", i))
		other.Sites = nil
		for n := range visit.MaxRelaySites {
			other.Sites = append(other.Sites, fmt.Sprint("site-", i, "-", n))
		}
		other.Sites = append(other.Sites, "not a name")
		other.SiteCount = len(other.Sites)
		s.relays = append(s.relays, other)
	}
	s.readable()
	if gaps := s.Gaps(); len(s.index.bySite) != maxNamed || len(gaps) != 1 || !gaps[0].Partly {
		t.Errorf("%d sites, and what is not known is %+v", len(s.index.bySite), gaps)
	}
}

// A relay of an early version names no integration, and one with many of them not all.
func TestIndex_ARelayThatDoesNotNameADoorMayHaveIt(t *testing.T) {
	s := newSite()
	named := relay("R2")
	named.Integrations, named.IntegrationCount = []visit.RelayIntegration{{Name: "lobby", Site: "hq"}}, 1
	other := relay("R3")
	other.Integrations, other.IntegrationCount = []visit.RelayIntegration{{Name: "gate", Site: "hq"}}, 1
	some := relay("R4")
	some.Integrations, some.IntegrationCount = []visit.RelayIntegration{{Name: "lobby", Site: "hq"}}, 7
	elsewhere := relay("R5")
	elsewhere.Sites = []string{"plant"}
	hidden := relay("R6")
	hidden.Sites, hidden.SiteCount = nil, 2000
	s.relays = []visit.Relay{relay("R1"), named, other, some, elsewhere, hidden}
	s.readable()
	for at, want := range map[place]string{{"hq", "lobby"}: "[0 1 3 5]", {"hq", "gate"}: "[0 2 3 5]"} {
		if got := fmt.Sprint(s.doors[at].relays); got != want {
			t.Errorf("%s has the relays %s, want %s", at.integration, got, want)
		}
	}
	s.Record(&visit.Record{Site: "plant", Integration: "yard", Received: noon})
	if got := fmt.Sprint(s.doors[place{"plant", "yard"}].relays); got != "[4 5]" {
		t.Errorf("a door of which a visitor tells has the relays %s", got)
	}
}

// A zone that is none is looked for once, and does not push out one that is.
func TestZones_OfNamesThatAreNoneAreBounded(t *testing.T) {
	s := newSite()
	for i := range maxSeen + 100 {
		s.Event(&visit.Event{Kind: visit.KindCheckedIn, Origin: visit.Origin{Site: "hq", Integration: "lobby", Received: noon, TimeZone: fmt.Sprint("Nowhere/", i)}})
	}
	s.Event(&visit.Event{Kind: visit.KindCheckedIn, Origin: visit.Origin{Site: "hq", Integration: "lobby", Received: noon, TimeZone: "Europe/Berlin"}})
	if s.Zone("hq").String() != "Europe/Berlin" || len(s.unzoned) > maxSeen || len(s.zones) != 1 {
		t.Errorf("%s, with %d names and %d zones remembered", s.Zone("hq"), len(s.unzoned), len(s.zones))
	}
	if s.Zone("nowhere") != time.UTC {
		t.Error("a site that is not known has a zone")
	}
}
