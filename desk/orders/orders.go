// Package orders is what somebody goes through to give a standing order: what was
// entered, what visitors will read, what was given, and which relays obey.
package orders

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// DefaultLockdownText is what relays show where a lockdown has no message. They add the
// reference.
const DefaultLockdownText = "This site is closed to visitors at the moment. Please see reception. Reference {ref}."

// AllSitesWords are what is typed to confirm an order for all sites.
const AllSitesWords = "all sites"

// Action is what is done.
type Action string

const (
	Lockdown Action = "lockdown"
	Override Action = "override"
	Lift     Action = "lift"
)

// Form is what somebody entered.
type Form struct {
	Action Action
	// Kind is that of the order that a lift ends, and ID its identity.
	Kind visit.OrderKind
	ID   string
	Site string
	// For is how long it lasts, as [Durations] has it; empty is until it is lifted.
	For             string
	Reason, Message string
}

// Read takes a form out of values.
func Read(value func(name string) string) Form {
	f := Form{
		Action: Action(value("action")), Kind: visit.OrderKind(value("kind")), ID: value("id"), Site: value("site"), For: value("for"),
		// What is pasted may have invisible characters that nobody could find and take out.
		Reason: strings.TrimSpace(oneLine(value("reason"))), Message: strings.TrimSpace(oneLine(value("message"))),
	}
	if f.Action != Lift {
		f.Kind = visit.OrderKind(f.Action)
	}
	return f
}

// Duration is how long an order may last.
type Duration struct{ Value, Text string }

var durations = []struct {
	Duration
	lasts time.Duration
}{
	{Duration{"15m", "15 minutes"}, 15 * time.Minute},
	{Duration{"30m", "30 minutes"}, 30 * time.Minute},
	{Duration{"1h", "1 hour"}, time.Hour},
	{Duration{"2h", "2 hours"}, 2 * time.Hour},
	{Duration{"4h", "4 hours"}, 4 * time.Hour},
	{Duration{"8h", "8 hours"}, 8 * time.Hour},
	{Duration{"24h", "24 hours"}, 24 * time.Hour},
}

// Words writes a duration for people.
func Words(d time.Duration) string {
	var parts []string
	for _, unit := range []struct {
		name  string
		lasts time.Duration
	}{{"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		if n := d / unit.lasts; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, unit.name+strings.Repeat("s", min(int(n)-1, 1))))
		}
		d %= unit.lasts
	}
	return strings.Join(parts, " ")
}

// Durations are those that an order may last, at most so long.
func Durations(most time.Duration) (all []Duration) {
	for _, d := range durations {
		if d.lasts <= most {
			all = append(all, d.Duration)
		}
	}
	return all
}

// Order is the one that a form means, given now. The error says in words what is wrong
// with the form.
func (f Form) Order(now time.Time, by string, maxOverride time.Duration) (visit.Order, error) {
	o := visit.Order{Kind: f.Kind, Site: f.Site, Reason: f.Reason, Message: f.Message, By: by, Since: now}
	i := slices.IndexFunc(durations, func(d struct {
		Duration
		lasts time.Duration
	}) bool {
		return d.Value == f.For
	})
	switch {
	case f.Action != Lockdown && f.Action != Override:
		return o, errors.New("choose lockdown or override")
	case i >= 0:
		o.Until = now.Add(durations[i].lasts)
	case f.For != "":
		return o, errors.New("choose how long it lasts")
	}
	if f.Action == Override && (i < 0 || durations[i].lasts > maxOverride) {
		return o, fmt.Errorf("an override must end by itself, after %s at most", Words(maxOverride))
	}
	return o, o.Validate()
}

// ReadLift is the lift that a form means.
func (f Form) ReadLift(now time.Time, by string) (visit.Lift, error) {
	l := visit.Lift{Kind: f.Kind, Site: f.Site, Lifts: f.ID, Reason: f.Reason, By: by, Since: now}
	if f.Action != Lift {
		return l, errors.New("this is not a lift")
	}
	return l, l.Validate()
}

// Confirmation is what must be typed.
func (f Form) Confirmation() string {
	if f.Site == visit.AllSites {
		return AllSitesWords
	}
	return f.Site
}

// Confirmed reports whether it was typed.
func (f Form) Confirmed(typed string) bool {
	return strings.EqualFold(strings.TrimSpace(typed), f.Confirmation())
}

// anyReference stands for the reference, which is another one for each visitor.
const anyReference = "K7Q2M"

// Preview is what visitors will read, with some reference, or empty where that is what
// their integration shows otherwise.
func (f Form) Preview() string {
	text := strings.TrimSpace(visit.CleanText(f.Message))
	switch {
	case f.Action == Lift:
		return ""
	case visit.IsBlank(text) && f.Action == Lockdown:
		text = DefaultLockdownText
	case visit.IsBlank(text):
		return ""
	}
	return strings.ReplaceAll(text, "{ref}", anyReference)
}

// Concerns reports whether an order for a site is one for another, too.
func Concerns(ordered, site string) bool {
	return ordered == site || ordered == visit.AllSites || ordered == "" || site == visit.AllSites
}

// Bounds of what is listed of the orders that NATS has lost, in all and by relay: whatever
// answers as a relay names as many as it likes.
const (
	maxLost      = 1000
	maxLostOfOne = 200
)

// Lost are the orders that relays obey and say that NATS has lost, and that are not among
// those that are stored: no more is known of them than what they do, where, and their ids.
// More is set where not all of them are listed.
func Lost(relays []visit.Relay, stored []visit.Order) (lost []visit.Order, more bool) {
	known := map[string]bool{"": true}
	for _, o := range stored {
		known[o.Identity()] = true
	}
	for _, r := range relays {
		ofOne := 0
		for _, o := range r.Orders {
			switch {
			case !o.Lost || known[o.ID]:
			case ofOne == maxLostOfOne || len(lost) == maxLost:
				more = true
			default:
				ofOne++
				known[o.ID] = true
				lost = append(lost, visit.Order{Kind: o.Kind, Site: o.Site, ID: o.ID})
			}
		}
	}
	return lost, more
}

// Count is how many relays obey an order, of those that it concerns.
type Count struct{ Obeying, Of int }

// CountObeying counts for each order what [Given.Answers] says of it. It reads what the
// relays say once, whatever the number of the orders.
func CountObeying(relays []visit.Relay, all []visit.Order) []Count {
	counts, byID := make([]Count, len(all)), map[string][]int{}
	for i, o := range all {
		byID[o.Identity()] = append(byID[o.Identity()], i)
	}
	anywhere, bySite := 0, map[string]int{}
	for _, r := range relays {
		sites, obeyed := map[string]bool{}, map[string]bool{}
		for _, site := range r.Sites {
			sites[site] = true
		}
		if r.SiteCount > len(r.Sites) {
			anywhere++
		} else {
			for site := range sites {
				bySite[site]++
			}
		}
		for _, o := range r.Orders {
			if obeyed[o.ID] {
				continue
			}
			obeyed[o.ID] = true
			for _, i := range byID[o.ID] {
				if site := all[i].Site; site == "" || site == visit.AllSites || r.SiteCount > len(r.Sites) || sites[site] {
					counts[i].Obeying++
				}
			}
		}
	}
	for i, o := range all {
		counts[i].Of = bySite[o.Site] + anywhere
		if o.Site == "" || o.Site == visit.AllSites {
			counts[i].Of = len(relays)
		}
	}
	return counts
}

// Obeyed reports whether a relay obeys an order, also where NATS has lost it.
func Obeyed(relays []visit.Relay, kind visit.OrderKind, site, id string) bool {
	return slices.ContainsFunc(relays, func(r visit.Relay) bool {
		return slices.ContainsFunc(r.Orders, func(o visit.RelayOrder) bool { return o.Kind == kind && o.Site == site && o.ID == id })
	})
}

// maxBy is how long the name of who gives an order may be, in characters.
const maxBy = 100

// By is who gives an order, as an order takes it. The ID is always in it, or as much of
// it as there is room for: at many providers, people may choose the name that they show.
func By(name, id string) string {
	name, id = oneLine(name), oneLine(id)
	switch room := maxBy - len([]rune(id)) - len(" ()"); {
	case id == "":
		return cut(name, maxBy)
	case visit.IsBlank(name) || name == id || room < 1:
		return cut(id, maxBy)
	default:
		return cut(name, room) + " (" + id + ")"
	}
}

func oneLine(s string) string { return strings.ReplaceAll(visit.CleanText(s), "\n", " ") }

func cut(s string, most int) string {
	runes := []rune(s)
	return string(runes[:min(len(runes), most)])
}
