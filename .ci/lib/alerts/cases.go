package main

import (
	"fmt"
	"slices"
)

// check is one case: what fires at a moment or at all, and that nothing does at the
// end.
type check struct {
	name  string
	world *world
	at    minute   // 0: at any time
	fires []string // as they are in ALERTS, without their severity
	also  []moment
	end   minute   // 0: the end of the world
	still []string // what goes on firing then
	says  []text
}

// moment is what fires at one, nothing more and nothing less.
type moment struct {
	at    minute
	fires []string
}

// everything that fires, without what no case is about.
const (
	firing = `sum without (severity, alertstate) (ALERTS{alertstate="firing"})`
	fired  = `group without (severity, alertstate) (count_over_time(ALERTS{alertstate="firing"}[%dm]))`
)

func (c check) test() test {
	t := test{Name: c.name, Interval: c.world.step.String(), InputSeries: c.world.input()}
	if c.at > 0 {
		t.Expressions = append(t.Expressions, expect(firing, c.at, c.fires))
	} else {
		t.Expressions = append(t.Expressions, expect(fmt.Sprintf(fired, int(c.world.length)), c.world.length, c.fires))
	}
	for _, m := range c.also {
		t.Expressions = append(t.Expressions, expect(firing, m.at, m.fires))
	}
	end := c.end
	if end == 0 {
		end = c.world.length
	}
	t.Expressions = append(t.Expressions, expect(firing, end, c.still))
	for _, s := range c.says {
		t.Alerts = append(t.Alerts, s.test())
	}
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
	return labels{"alertname": "SineRelay" + alert, "namespace": "visitors", "job": "sine-relay"}.with(more).String()
}

// ofRelay names a relay of the headquarters in an alert.
func ofRelay(pod string, more labels) labels {
	l := headquarters.labels(pod)
	return labels{"pod": l["pod"], "instance": l["instance"]}.with(more)
}

// eachOf is an alert of each of these relays of an installation.
func eachOf(alert, namespace string, pods ...string) (all []string) {
	for _, pod := range pods {
		all = append(all, named(alert, ofRelay(pod, labels{"namespace": namespace})))
	}
	return all
}

var atSick = labels{"integration": sick}

// sickHQ is how alerts name it where its site is shown.
var sickHQ = atSick.with(labels{"site": "hq"})

// cases: what is wrong is so from minute 30 to 60, unless it says something else.
func cases() []check {
	return slices.Concat(quiet(), atOneSite(), ofLobbies(), ofRelays(), ofInstallations(), ofSpools(), ofBudgets(), ofCauses(), ofTexts(), ofFields(), []check{restart()})
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
	oneAtNight.counter("sine_relay_webhooks_total", headquarters.labels("relay-0").with(atSick).with(labels{"kind": "check_in_request", "result": "timeout"}), between(50, 51, 1, 0))
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
