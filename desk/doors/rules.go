package doors

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	// silentAfter is the least time without a visitor that is noticed, and usual is how
	// many there must have been at that time of the day before.
	silentAfter = time.Hour
	usual       = 5
	// recovered is how many decisions in a row end that a door is on fallback, and after
	// another so many it is another trouble.
	recovered = 3
	another   = 5
)

// Situations says in words why there was no decision.
var Situations = map[string]string{
	"decided":        "decided",
	"no_decider":     "no program answers for the decider",
	"timeout":        "no decision came in time",
	"disconnected":   "the relay cannot reach NATS",
	"denied":         "NATS refuses the relay's requests to the decider",
	"bad_reply":      "the reply of the decider is invalid",
	"overloaded":     "more check-in requests were in flight than the relay is configured for",
	"unreadable":     "what Sine sent cannot be read",
	"incomplete":     "what Sine sent lacks a field that is expected",
	"unasked":        "the condition of no decider held",
	"orders_unknown": "the relay does not know the standing orders",
	"lockdown":       "a lockdown is in force",
	"override":       "an override is in force",
	"unheard":        "the decision was certain without it",
}

// findings are all that hold of a door at a time, the worst first, for somebody who may
// see some sites.
func (m *Model) findings(d *door, now time.Time, may func(site string) bool) []Finding {
	var all []Finding
	add := func(f Finding, holds bool) {
		if holds {
			all = append(all, f)
		}
	}
	clock := func(t time.Time) string { return Clock(t, now, d.location) }
	add(m.ordered(d, visit.OrderLockdown, LockedDown, now, clock))
	add(Finding{State: Invalid, Text: "Its configuration is invalid: all calls of Sine are answered 401. The log of the relay says what is wrong, and so does sine-relay config check."}, d.invalid)
	override, overridden := m.ordered(d, visit.OrderOverride, Overridden, now, clock)
	if !overridden { // what came before it says nothing of the next visitor
		add(d.onFallback(now, clock))
		add(m.withoutDecider(d))
	}
	add(d.withoutRelay())
	add(m.missingRelay(d, clock))
	add(m.impaired(d, may))
	add(m.notObeyed(d, now, clock))
	add(d.drift())
	add(override, overridden)
	if overridden { // of whoever comes after it
		add(m.withoutDecider(d))
	}
	add(m.notSeen(d, clock))
	add(d.silence(now, clock))
	last := d.last()
	add(Finding{State: NeverUsed, Text: "Nothing was received yet, as far as its relays and the last day say."}, last.IsZero())
	add(Finding{State: Answering, Text: "Nothing is wrong. Last received " + clock(last) + ".", Since: last}, len(all) == 0)
	return all
}

// ordered finds the standing order of a kind that is in force, one of the site itself
// before one of every site.
func (m *Model) ordered(d *door, kind visit.OrderKind, state State, now time.Time, clock func(time.Time) string) (Finding, bool) {
	var found *visit.Order
	for _, o := range m.ordersFor(d.site) {
		if o.Kind == kind && o.InForce(now) && (found == nil || o.Site == d.site) {
			found = &o.Order
		}
	}
	if found != nil {
		return Finding{state, orderText(*found, state, clock), found.Since}, true
	}
	for _, at := range []term{{kind, d.site}, {kind, visit.AllSites}} {
		if i, lost := m.index.lost[at]; lost {
			return Finding{State: state, Text: state.Title() + ": relay " + m.relays[i].ID + " obeys an order that NATS has lost. Lift it, or give it again."}, true
		}
	}
	return Finding{}, false
}

func orderText(o visit.Order, state State, clock func(time.Time) string) string {
	var b strings.Builder
	b.WriteString(state.Title())
	if !o.Since.IsZero() {
		b.WriteString(" since " + clock(o.Since))
	}
	if by := cmp.Or(o.By, o.User); by != "" {
		b.WriteString(" by " + visit.CleanText(by))
	}
	if o.Site != "" && o.Site != visit.AllSites {
		b.WriteString(", this site")
	} else {
		b.WriteString(", all sites")
	}
	if o.Until.IsZero() {
		b.WriteString(", until it is lifted.")
	} else {
		b.WriteString(", until " + clock(o.Until) + ".")
	}
	if reason := visit.CleanText(o.Reason); reason != "" {
		b.WriteString(" Reason: " + reason)
	}
	return b.String()
}

// A malformed call is that visitor's alone, unless there are several.
func ownTrouble(situation string) bool { return situation == "incomplete" || situation == "unreadable" }

// onFallback holds where the last check-in request got no decision; and where a quarter of
// those of an hour did not, and at least three, until some in a row are decided.
func (d *door) onFallback(now time.Time, clock func(time.Time) string) (Finding, bool) {
	t := d.trouble(now)
	newest := t.decided == 0 && t.count > 0 && !ownTrouble(t.situation)
	again := t.lately >= 3 && t.lately*4 >= t.hour && t.decided < recovered
	if !newest && !again {
		return Finding{}, false
	}
	others := ""
	if t.others > 0 {
		others = fmt.Sprintf(" Of these, %d for another reason.", t.others)
	}
	return Finding{OnFallback, fmt.Sprintf("On fallback %s since %s: %s. %d of the last %s got no decision: %d let in, %d rejected.%s",
		t.situation, clock(t.since), cmp.Or(Situations[t.situation], "there was no decision"), t.count, plural(t.of, "check-in request"), t.in, t.count-t.in, others), t.since}, true
}

// trouble is what the last check-in requests of a door say.
type trouble struct {
	situation string    // of the newest without a decision
	since     time.Time // it is so, as far as these say
	// decided are those since the newest without a decision.
	decided int
	// count of these got no decision, in of them were let in, and others had another
	// situation than the newest.
	of, count, in, others int
	// lately of those of the last hour got no decision.
	hour, lately int
}

// trouble looks at the last check-in requests of a day, from the newest on. Those that an
// order decided say nothing about deciders.
func (d *door) trouble(now time.Time) (t trouble) {
	run := 0
	for _, a := range d.recent {
		if now.Sub(a.at) > day || a.ordered {
			continue
		}
		t.of++
		lately := now.Sub(a.at) <= time.Hour
		if lately {
			t.hour++
		}
		if !a.fallback {
			run++
			if t.count == 0 {
				t.decided++
			}
			continue
		}
		t.count++
		t.situation = cmp.Or(t.situation, a.situation)
		switch {
		case a.situation != t.situation:
			t.others++
		case t.since.IsZero() || run < another:
			t.since = a.at // it is the same trouble still
		}
		run = 0
		if a.accepted {
			t.in++
		}
		if lately {
			t.lately++
		}
	}
	return t
}

// byFallback says what is too little for a state.
func (d *door) byFallback(now time.Time) string {
	t := d.trouble(now)
	if t.count == 0 {
		return ""
	}
	text := fmt.Sprintf("A fallback answered %d of the last %s: %s", t.count, plural(t.of, "check-in request"), cmp.Or(Situations[t.situation], "there was no decision"))
	if t.others > 0 {
		text += fmt.Sprintf(", %d of these for another reason", t.others)
	}
	return text
}

// withoutDecider holds for a decider that was found once, or never decided: one that
// decides and is not a NATS micro service cannot be found.
func (m *Model) withoutDecider(d *door) (Finding, bool) {
	var gone []string
	for _, name := range d.deciders {
		_, decides := d.decided[name]
		if m.programs.answering(d.site, name) == 0 && (m.services.answering(d.site, name) > 0 || !decides) {
			gone = append(gone, name)
		}
	}
	if len(gone) == 0 {
		return Finding{}, false
	}
	return Finding{State: NoDecider, Text: "No program answers for the decider " + strings.Join(gone, ", ") + ". A program that is not a NATS micro service is not seen."}, true
}

// notSeen holds for a decider that decides and was never found: since the desk was started
// it may have ended.
func (m *Model) notSeen(d *door, clock func(time.Time) string) (Finding, bool) {
	for _, name := range d.deciders {
		last, decides := d.decided[name]
		if decides && m.programs.answering(d.site, name) == 0 && m.services.answering(d.site, name) == 0 {
			return Finding{NotSeen, "No program is found for the decider " + name + ", which decided last " + clock(last) + ". It has ended, or is not a NATS micro service.", last}, true
		}
	}
	return Finding{}, false
}

func (d *door) drift() (Finding, bool) {
	if len(d.drifting) == 0 {
		return Finding{}, false
	}
	return Finding{State: Drifting, Text: "Missing from what Sine sends, and there before: " + strings.Join(d.drifting, ", ") + "."}, true
}

// silence compares with the day before, so that a night is none. A Saturday after a Friday
// is one all the same: that is why it counts for a note only.
func (d *door) silence(now time.Time, clock func(time.Time) string) (Finding, bool) {
	last := d.last()
	quiet := now.Sub(last)
	switch {
	case last.IsZero() || quiet < silentAfter:
		return Finding{}, false
	case quiet >= day:
		return Finding{Silent, "Nothing was received since " + clock(last) + ".", last}, true
	}
	before := d.between(now.Add(-day), now.Add(quiet-day))
	if before < usual {
		return Finding{}, false
	}
	return Finding{Silent, fmt.Sprintf("Nothing was received since %s. On the day before there were %d in the same time.", clock(last), before), last}, true
}
