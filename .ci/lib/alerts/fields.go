package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/relay/drift"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// ofFields are those in which a field is renamed, or only seems to be, at lobbies whose bodies
// come to any of several relays. What the relays show is what they show of such bodies.
func ofFields() []check { return []check{renamedFields(), sameFields()} }

const (
	scrape       = 30 * time.Second
	history      = minute(60) // with a visitor in each scrape interval
	perMinute    = minute(2)
	renamedTo    = "/data/renamed"
	afterHistory = int(history * perMinute)
)

var checkInsOnly, threeKinds = []visit.Kind{visit.KindCheckedIn}, []visit.Kind{visit.KindCheckInRequest, visit.KindCheckedIn, visit.KindCheckedOut}

// bodyOf is what relays look at of a body.
type bodyOf struct {
	found fields.Set
	keys  []string
}

var (
	whole   = bodyOf{found: fields.Of(fields.LastName, fields.Company)}
	renamed = bodyOf{fields.Of(fields.LastName), []string{renamedTo}}
	// partial lacks the field, as others do now and then.
	partial = bodyOf{found: fields.Of(fields.LastName)}
)

// fleet is the relays of one lobby.
type fleet struct {
	w       *world
	lobby   string
	relays  []*drift.Watch
	rand    *rand.Rand
	samples map[string][]float64
}

func (w *world) fleet(lobby string, relays int) *fleet {
	f := &fleet{w: w, lobby: lobby, rand: rand.New(rand.NewPCG(uint64(len(lobby)), uint64(relays))), samples: map[string][]float64{}}
	for range relays {
		f.relays = append(f.relays, drift.New(time.Unix(0, 0)))
	}
	return f
}

func (f *fleet) restart(relay int, at minute) { f.relays[relay] = drift.New(timeOf(at)) }

func timeOf(m minute) time.Time { return time.Unix(0, int64(float64(m)*float64(time.Minute))) }

// visitor makes webhooks of one body, each to any of the relays, just after a moment.
func (f *fleet) visitor(at minute, b bodyOf, kinds ...visit.Kind) {
	for n, kind := range kinds {
		f.deliver(f.rand.IntN(len(f.relays)), timeOf(at).Add(time.Duration(n+1)*2*time.Second), b, kind)
	}
}

func (f *fleet) deliver(relay int, at time.Time, b bodyOf, kind visit.Kind) {
	sum := uint64(0)
	for _, key := range b.keys {
		for i, c := range []byte(key) {
			sum += uint64(c) << (i % 32)
		}
	}
	f.relays[relay].Observe(kind, b.found, sum, at, func() drift.Keys { return drift.Keys{Paths: b.keys, Names: b.keys} })
}

// scraped notes what the relays show at a moment.
func (f *fleet) scraped(at minute) {
	for n, w := range f.relays {
		of := lobby(fmt.Sprintf("relay-%d", n), f.lobby)
		note := func(name string, more labels, value float64) {
			series := name + of.with(more).String()
			if f.samples[series] == nil {
				f.samples[series] = slices.Repeat([]float64{absent}, int(f.w.length*perMinute)+1)
				f.w.gauge(name, of.with(more), func(m minute) float64 { return f.samples[series][int(m*perMinute)] })
			}
			f.samples[series][int(at*perMinute)] = value
		}
		for _, d := range w.Drifts() {
			note("sine_relay_field_drift", labels{"kind": string(d.Kind), "field": string(d.Field)}, 1)
		}
		for _, s := range w.States() {
			l := labels{"kind": string(s.Kind), "field": string(s.Field)}
			note("sine_relay_field_found_timestamp_seconds", l, float64(s.Found.UnixMilli())/1000)
			if s.Missing > 0 {
				note("sine_relay_field_missing_bodies", l, float64(s.Missing))
				note("sine_relay_field_missing_since_timestamp_seconds", l, float64(s.Since.UnixMilli())/1000)
				note("sine_relay_field_missing_probability", l, s.Chance)
			}
		}
		counts, _ := w.Counts()
		for _, c := range counts {
			note("sine_relay_fields_total", labels{"field": string(c.Field), "result": "found"}, float64(c.Found))
			note("sine_relay_fields_total", labels{"field": string(c.Field), "result": "missing"}, float64(c.Missing))
		}
	}
}

// eachScrape does something, and then scrapes.
func (f *fleet) eachScrape(do func(n int, at minute)) {
	for n := range int(f.w.length*perMinute) + 1 {
		at := minute(n) / perMinute
		f.scraped(at)
		do(n, at)
	}
}

// renamedFields: ten bodies after it was renamed, it is heard; once it is found again, nothing
// fires.
func renamedFields() check {
	w := newWorld(scrape, history+60)
	var fires []string
	for _, relays := range []int{1, 2, 3, 6} {
		for number, kinds := range [][]visit.Kind{checkInsOnly, threeKinds, checkInsOnly} {
			if number == 1 && relays == 6 {
				continue // of three visitors, each relay of six knows too little after this hour
			}
			restarts := number == 2
			if restarts && relays < 3 {
				continue // where one of two forgets, the other one has to hear it
			}
			f := w.fleet(fmt.Sprintf("renamed: %d relays, %d kinds, restarts: %v", relays, len(kinds), restarts), relays)
			for _, kind := range kinds {
				fires = append(fires, named("FieldsDrift", labels{"integration": f.lobby, "field": string(fields.Company), "kind": string(kind), "site": "unknown"}))
			}
			f.eachScrape(func(n int, at minute) {
				deliveries := (n - afterHistory) * len(kinds)
				switch {
				case n < afterHistory:
					f.visitor(at, whole, kinds...)
				case restarts && deliveries == 5:
					f.restart(0, at)
					fallthrough
				case deliveries < 10:
					f.visitor(at, renamed, kinds[:min(len(kinds), 10-deliveries)]...)
				case at == history+30: // to each relay
					for relay := range f.relays {
						for _, kind := range kinds {
							f.deliver(relay, timeOf(at), whole, kind)
						}
					}
				}
			})
		}
	}
	heard := history + 5 + 2 // ten check-ins take five minutes
	return check{name: "a field is renamed at lobbies with several relays", world: w, at: heard, fires: fires, also: []moment{{history, nil}, {history + 30, fires}, {history + 33, nil}}}
}

// sameFields are lobbies in which it only looks like that.
func sameFields() check {
	w := newWorld(scrape, history+60)
	for _, relays := range []int{1, 2, 3, 6} {
		lobby := func(what string, visitor func(f *fleet, n int) (bodyOf, []visit.Kind)) {
			f := w.fleet(fmt.Sprintf("%s: %d relays", what, relays), relays)
			f.eachScrape(func(n int, at minute) {
				if b, kinds := visitor(f, n); len(kinds) > 0 {
					f.visitor(at, b, kinds...)
				}
			})
		}
		for _, share := range []int{2, 5} {
			lobby(fmt.Sprintf("one in %d has it, and a key is new in all", share), func(f *fleet, n int) (b bodyOf, _ []visit.Kind) {
				if b = partial; f.rand.IntN(share) == 0 {
					b = whole
				}
				if n >= afterHistory {
					b.keys = []string{"/data/new"}
				}
				return b, threeKinds
			})
		}
		lobby("contractors, with a key of their own and without it, come among others", func(_ *fleet, n int) (bodyOf, []visit.Kind) {
			if n >= afterHistory && n%3 > 0 {
				return bodyOf{partial.found, []string{"/data/contract"}}, threeKinds[:2]
			}
			return whole, threeKinds[:2]
		})
		lobby("check-ins by geofence have no form", func(f *fleet, n int) (bodyOf, []visit.Kind) {
			b := bodyOf{found: fields.Of(fields.LastName, fields.Answers)}
			if n >= 20 && f.rand.IntN(3) == 0 {
				b = bodyOf{partial.found, []string{"/data/geofence"}}
			}
			return b, checkInsOnly
		})
		lobby("it is new", func(f *fleet, n int) (bodyOf, []visit.Kind) {
			b := partial
			if n < afterHistory {
				return b, nil
			}
			if n < afterHistory+8 || f.rand.IntN(3) == 0 {
				b = whole
			}
			b.keys = []string{fmt.Sprintf("/data/key%d", n%9)}
			return b, threeKinds
		})
		lobby("all its relays restart, one after the other", func(f *fleet, n int) (bodyOf, []visit.Kind) {
			if since := n - afterHistory; since >= 0 && since%4 == 0 && since/4 < relays {
				f.restart(since/4, minute(n)/perMinute)
			}
			b := whole
			if f.rand.IntN(10) == 0 {
				b = partial
			}
			if f.rand.IntN(2) == 0 {
				b.keys = []string{"/data/badge"}
			}
			return b, threeKinds
		})
		lobby("a visitor of another sort comes now and then", func(_ *fleet, n int) (bodyOf, []visit.Kind) {
			if n >= afterHistory && n%20 < 4 {
				return bodyOf{partial.found, []string{"/data/delivery"}}, checkInsOnly
			}
			return whole, checkInsOnly
		})
	}
	for _, relays := range []int{2, 6} { // as where a proxy keeps to a relay
		f := w.fleet(fmt.Sprintf("contractors come to one relay alone: %d relays", relays), relays)
		f.eachScrape(func(n int, at minute) {
			switch {
			case n < afterHistory:
				f.visitor(at, whole, checkInsOnly...)
			case n%2 == 0:
				f.deliver(0, timeOf(at), bodyOf{partial.found, []string{"/data/contract"}}, visit.KindCheckedIn)
			default:
				f.deliver(1, timeOf(at), whole, visit.KindCheckedIn)
			}
		})
	}
	return check{name: "fields of lobbies with several relays are missing now and then", world: w}
}
