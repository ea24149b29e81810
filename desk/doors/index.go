package doors

import (
	"errors"
	"slices"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	// maxRelays bounds the relays of one door that are looked at and missed, and of one
	// site.
	maxRelays = 64
	// maxNamed bounds the sites that relays name.
	maxNamed = 8192
)

var errRelaysOmitted = errors.New("relays named more sites, or more relays named one, than are looked at: some may be missing")

// index is what relays said, by what a door needs of it. It is made once for each answer,
// in a time that grows with the answer's size alone: whatever answers a search may name as
// many sites and orders as it likes, and all doors are looked at again and again.
type index struct {
	// bySite are the relays that name a site, and anywhere those that have sites which
	// they do not name. They are places among the relays.
	bySite   map[string][]int
	anywhere []int
	// obeyed are the ids of the orders that each relay obeys, and lost is which relay is
	// the first to obey an order that NATS has lost.
	obeyed  []map[string]bool
	lost    map[term]int
	omitted bool
}

// term is what an order does, and where.
type term struct {
	kind visit.OrderKind
	site string
}

func termOf(kind visit.OrderKind, site string) term {
	if site == "" {
		site = visit.AllSites
	}
	return term{kind, site}
}

// bounded are relays with an id each that name no more than a relay may: what is beyond it
// counts as not named.
func bounded(relays []visit.Relay) (all []visit.Relay) {
	known := make(map[string]bool, len(relays))
	for _, r := range relays {
		if known[r.ID] {
			continue
		}
		known[r.ID] = true
		r.Sites, r.Integrations = r.Sites[:min(len(r.Sites), visit.MaxRelaySites)], r.Integrations[:min(len(r.Integrations), visit.MaxRelaySites)]
		all = append(all, r)
	}
	return all
}

func newIndex(relays []visit.Relay) *index {
	x := &index{bySite: map[string][]int{}, obeyed: make([]map[string]bool, len(relays)), lost: map[term]int{}}
	for i, r := range relays {
		if r.SiteCount > len(r.Sites) {
			x.anywhere = x.add(x.anywhere, i)
		}
		for _, site := range r.Sites {
			if at := x.bySite[site]; at != nil || visit.ValidName(site) && len(x.bySite) < maxNamed {
				x.bySite[site] = x.add(at, i)
			} else {
				x.omitted = true
			}
		}
		x.obeyed[i] = make(map[string]bool, len(r.Orders))
		for _, o := range r.Orders {
			x.obeyed[i][o.ID] = true
			if _, known := x.lost[termOf(o.Kind, o.Site)]; o.Lost && !known {
				x.lost[termOf(o.Kind, o.Site)] = i
			}
		}
	}
	return x
}

// add adds a relay, once, to those before it.
func (x *index) add(all []int, i int) []int {
	switch {
	case len(all) > 0 && all[len(all)-1] == i:
	case len(all) < maxRelays:
		return append(all, i)
	default:
		x.omitted = true
	}
	return all
}

// concerned are the relays that have a site, or may have it: twice [maxRelays] at most.
func (x *index) concerned(site string) []int {
	named := x.bySite[site]
	if len(x.anywhere) == 0 {
		return named
	}
	all := slices.Concat(named, x.anywhere)
	slices.Sort(all)
	return slices.Compact(all)
}
