package main

import (
	"fmt"
	"slices"
	"time"
)

// fewAtOnce and fewInDays are installations with few visitors, of whom many are not
// answered, and whose events fail: only from a number on is that a page or a ticket.
func fewAtOnce() check {
	w := newWorld(time.Minute, 180)
	w.few("four", every(4, 30, 4))
	w.few("four-twice", slices.Concat(every(4, 30, 4), every(4, 120, 4)))
	w.few("seven", every(4, 30, 7))
	return check{name: "four failures within an hour, and seven", world: w, fires: budgetsOf("seven", "Fast"), also: []moment{{51, nil}, {54, budgetsOf("seven", "Fast")}}}
}

func fewInDays() check {
	w := newWorld(10*time.Minute, 2900)
	w.few("nine-in-hours", every(20, 60, 9))
	w.few("twelve-in-hours", every(20, 60, 12))
	w.few("fourteen-in-a-day", every(50, 60, 14))
	w.few("fourteen-in-a-day-twice", slices.Concat(every(50, 60, 14), every(50, 2150, 14)))
	w.few("seventeen-in-a-day", every(50, 60, 17))
	w.few("nineteen-in-days", every(110, 60, 19))
	w.few("twenty-two-in-days", every(110, 60, 22))
	w.few("nine-twice-a-day", slices.Concat(every(20, 60, 9), every(20, 600, 9)))
	return check{name: "few failures within hours, a day and days", world: w, fires: slices.Concat(
		budgetsOf("twelve-in-hours", ""), budgetsOf("nine-twice-a-day", "Slow"), budgetsOf("seventeen-in-a-day", "Slow"),
		budgetsOf("twenty-two-in-days", "Creeping"), budgetsOf("fourteen-in-a-day-twice", "Creeping"),
	), still: budgetsOf("fourteen-in-a-day-twice", "Creeping")}
}

// few are failures at these moments, at one relay and the other in turns and each at a
// lobby of its own, beside a
// check-in and an event of each kind that is well every twenty minutes.
func (w *world) few(namespace string, failures []minute) {
	good := always(1.0 / 20)
	for n, pod := range headquarters.pods {
		l := installation{namespace: namespace}.labels(pod)
		failing := func(m minute) float64 {
			if k := slices.Index(failures, m); k >= 0 && k%2 == n {
				return 1 / w.step.Minutes()
			}
			return 0
		}
		w.checkIns(l, good)
		w.hungUp(l, failures, n)
		w.published(l.with(labels{"result": "failed"}), failing, always(0))
		for _, result := range []string{"stored", "duplicate", "spooled"} {
			w.published(l.with(labels{"result": result}), good, always(0))
		}
	}
}

// hungUp are visitors whom no answer reaches, every second of them at this relay.
func (w *world) hungUp(l labels, at []minute, relay int) {
	for k := relay; k < len(at); k += len(headquarters.pods) {
		w.calls("sine_relay_webhooks_total", l.with(labels{"integration": fmt.Sprintf("lobby-%02d", k)}).with(asked("client_disconnected")), at[k])
	}
}

func budgetsOf(namespace, speed string) []string {
	l := labels{"namespace": namespace}
	return []string{named("CheckInErrorBudgetBurn"+speed, l), named("EventErrorBudgetBurn"+speed, l)}
}
