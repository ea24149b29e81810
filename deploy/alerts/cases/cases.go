package main

import (
	"fmt"
	"time"
)

// check is one case: what fires at a moment, and that nothing does at the end.
type check struct {
	name  string
	world *world
	at    minute
	fires []string // as they are in ALERTS, without their severity
	end   minute   // 0: the end of the world
	still []string // what goes on firing then
}

// everything that fires, without what no case is about.
const firing = `sum without (severity, alertstate) (ALERTS{alertstate="firing"})`

func (c check) test() test {
	t := test{Name: c.name, Interval: c.world.step.String(), InputSeries: c.world.input()}
	if c.at > 0 {
		t.Expressions = append(t.Expressions, expect(firing, c.at, c.fires))
	} else {
		// Nothing, at any time.
		t.Expressions = append(t.Expressions, expect(fmt.Sprintf(`count_over_time(ALERTS{alertstate="firing"}[%dm])`, int(c.world.length)), c.world.length, nil))
	}
	end := c.end
	if end == 0 {
		end = c.world.length
	}
	t.Expressions = append(t.Expressions, expect(firing, end, c.still))
	return t
}

func expect(expr string, at minute, fires []string) expression {
	e := expression{Expr: expr, At: fmt.Sprintf("%gm", at), Samples: []sample{}}
	for _, alert := range fires {
		e.Samples = append(e.Samples, sample{alert, 1})
	}
	return e
}

// named is an alert of the headquarters.
func named(alert string, more labels) string {
	return labels{"alertname": "SineRelay" + alert, "namespace": "door", "job": "sine-relay"}.with(more).String()
}

var atSick = labels{"integration": sick}

// cases: what is wrong is so from minute 30 to 60, unless it says something else.
func cases() []check {
	return append(append(append(quiet(), atOneSite()...), ofRelays()...), ofBudgets()...)
}

// quiet are those in which nothing fires.
func quiet() []check {
	restarted := morning(90)
	restarted.each("relay-1", func(value func(minute) float64) func(minute) float64 {
		return func(m minute) float64 {
			if 30 <= m && m < 31 {
				return absent
			}
			return value(m)
		}
	})
	rolled := morning(90)
	for n, pod := range headquarters.pods {
		begin := minute(30 + 2*n)
		rolled.each(pod, func(value func(minute) float64) func(minute) float64 {
			return func(m minute) float64 {
				if m >= begin {
					return absent
				}
				return value(m)
			}
		})
		new := headquarters.labels(fmt.Sprintf("relay-%d", 2+n))
		rolled.latecomer(new, begin-1)
	}
	oneAtNight := night(90)
	oneAtNight.site(headquarters.labels("relay-0").with(atSick), between(40, 45, 0.3, 0))
	oneAtNight.counter("sine_relay_webhooks_total", headquarters.labels("relay-0").with(atSick).with(labels{"event": "check_in_request", "outcome": "timeout"}), between(50, 51, 1, 0))
	return []check{
		{name: "a Monday morning", world: morning(140)},
		{name: "a night", world: night(140)},
		{name: "a night with one visitor, and one who is not decided about", world: oneAtNight},
		{name: "a relay is restarted", world: restarted},
		{name: "a rolling update", world: rolled},
	}
}

// each changes all series of a pod of the headquarters.
func (w *world) each(pod string, change func(func(minute) float64) func(minute) float64) {
	of := newWorld(w.step, w.length)
	l := headquarters.labels(pod)
	of.relay(l)
	of.sitesOf(l)
	for name := range of.series {
		w.series[name] = change(w.series[name])
	}
}

// latecomer is a pod that comes at a time.
func (w *world) latecomer(l labels, begin minute) {
	of := newWorld(w.step, w.length)
	of.relay(l)
	of.sitesOf(l)
	for name, value := range of.series {
		w.steady[name] = of.steady[name]
		w.series[name] = func(m minute) float64 {
			if m < begin {
				return absent
			}
			return value(m)
		}
	}
}

// atOneSite are those in which one lobby is sick among forty.
func atOneSite() []check {
	undecided := morning(190)
	for _, pod := range headquarters.pods {
		l := headquarters.labels(pod).with(atSick)
		undecided.site(l, between(30, 60, 0, 0.4))
		undecided.counter("sine_relay_webhooks_total", l.with(labels{"event": "check_in_request", "outcome": "timeout"}), between(30, 60, 0.4, 0))
		undecided.counter("sine_relay_webhooks_total", l.with(labels{"event": "checked_in", "outcome": "stored"}), always(0.4))
	}
	alone := morning(140)
	for _, pod := range headquarters.pods {
		l := headquarters.labels(pod).with(atSick)
		alone.gauge("sine_relay_deciders", l.with(labels{"decider": "watchlist"}), between(30, 110, 0, 2))
		alone.counter("sine_relay_asks_total", l.with(labels{"decider": "watchlist", "outcome": "decided"}), between(30, 110, 0, 0.4))
	}
	wrong := morning(140)
	locked := morning(140)
	addressed := morning(140)
	for _, pod := range headquarters.pods {
		l := headquarters.labels(pod).with(atSick)
		wrong.counter("sine_relay_webhooks_rejected_total", l.with(labels{"reason": "wrong_key"}), between(30, 60, 0.4, 0))
		locked.site(l, between(30, 60, 0, 0.4))
		locked.counter("sine_relay_webhooks_total", l.with(labels{"event": "check_in_request", "outcome": "unasked"}), between(30, 60, 0, 0.1))
		locked.counter("sine_relay_webhooks_rejected_total", l.with(labels{"reason": "missing_key"}), between(30, 60, 0.4, 0))
		addressed.site(l, between(30, 60, 0, 0.4))
		addressed.counter("sine_relay_webhooks_total", l.with(labels{"event": "check_in_request", "outcome": "unasked"}), between(30, 60, 0, 0.1))
		addressed.counter("sine_relay_webhooks_rejected_total", l.with(labels{"reason": "address"}), between(30, 60, 0.4, 0))
	}
	single := func(series string, more labels, rate float64) *world {
		w := morning(140)
		w.counter(series, headquarters.labels("relay-1").with(atSick).with(more), between(30, 60, rate, 0))
		return w
	}
	return []check{
		// A fortieth of the traffic is more than the budget, too.
		{name: "nobody decides at one site", world: undecided, at: 59, fires: []string{named("CheckInsByFallback", atSick), named("DoorBudgetBurns", nil)}},
		{name: "no program answers for one site", world: alone, at: 100, fires: []string{named("NobodyAnswers", atSick.with(labels{"decider": "watchlist"}))}},
		{name: "one site has a wrong key, and another that is right", world: wrong, at: 50, fires: []string{named("WrongKey", atSick)}},
		{name: "one site has no key", world: locked, at: 50, fires: []string{named("WrongKey", atSick), named("LockedOut", atSick)}},
		{name: "one site calls from elsewhere", world: addressed, at: 50, fires: []string{named("LockedOut", atSick)}},
		{name: "facts of one site are refused", world: single("sine_relay_facts_settled_total", labels{"result": "refused"}, 0.2), at: 50, fires: []string{named("FactsRefused", atSick)}},
		{name: "bodies of one site are not understood", world: single("sine_relay_webhooks_total", labels{"event": "checked_in", "outcome": "quarantined"}, 0.1), at: 50, fires: []string{named("QuarantineGrows", atSick)}},
		{name: "bodies of one site are too large", world: single("sine_relay_webhooks_total", labels{"event": "checked_in", "outcome": "too_large"}, 0.1), at: 50, fires: []string{named("TooLarge", atSick)}},
		{name: "one site is silent on a Monday", world: silent(), at: 7*24*60 + 9*60, fires: []string{named("IntegrationSilent", atSick)}},
	}
}

// silent is a week and a half of office hours, seen every five minutes. On the
// second Monday one site begins late.
func silent() *world {
	w := newWorld(5*time.Minute, 7*24*60+13*60)
	for n := range sites {
		hours := func(m minute) float64 {
			day := int(m) / (24 * 60)
			hour := int(m) / 60 % 24
			switch late := n == 7 && day == 7 && hour < 11; {
			case late, hour < 6, hour >= 18, day%7 >= 5:
				return 0
			}
			return 0.4
		}
		w.counter("sine_relay_webhooks_total", headquarters.labels("relay-0").with(labels{"integration": fmt.Sprintf("site-%02d", n), "event": "checked_in", "outcome": "stored"}), hours)
	}
	return w
}
