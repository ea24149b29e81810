package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// minute is a moment of a case, counted from its beginning.
type minute float64

// world is what Prometheus has scraped.
type world struct {
	step   time.Duration
	length minute
	series map[string]func(minute) float64
	steady map[string]bool // of counters: the function is a rate for each minute
}

func newWorld(step time.Duration, length minute) *world {
	return &world{step: step, length: length, series: map[string]func(minute) float64{}, steady: map[string]bool{}}
}

// labels of a series; values are quoted here.
type labels map[string]string

func (l labels) with(more labels) labels {
	all := maps.Clone(l)
	maps.Copy(all, more)
	return all
}

func (l labels) String() string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if l[name] != "" {
			pairs = append(pairs, fmt.Sprintf("%s=%q", name, l[name]))
		}
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

// gauge is a series of these values; NaN is no sample.
func (w *world) gauge(name string, l labels, value func(minute) float64) {
	w.series[name+l.String()] = value
}

// counter is a series that grows by so much a minute, by jumps, as counters do.
func (w *world) counter(name string, l labels, rate func(minute) float64) {
	w.gauge(name, l, rate)
	w.steady[name+l.String()] = true
}

func always(v float64) func(minute) float64 { return func(minute) float64 { return v } }

// between is one value for a while, and another before and after.
func between(from, to minute, v, otherwise float64) func(minute) float64 {
	return func(m minute) float64 {
		if from <= m && m < to {
			return v
		}
		return otherwise
	}
}

var absent = math.NaN()

func (w *world) input() []inputSeries {
	var all []inputSeries
	for _, name := range slices.Sorted(maps.Keys(w.series)) {
		all = append(all, inputSeries{name, w.values(name)})
	}
	return all
}

// values are written in promtool's short form, in which 3+0x9 is ten threes, but _x9 no
// more than nine times nothing.
func (w *world) values(name string) string {
	var runs []string
	var last string
	count := 0
	flush := func() {
		switch {
		case count == 0:
		case last == "_":
			runs = append(runs, fmt.Sprintf("_x%d", count))
		default:
			runs = append(runs, fmt.Sprintf("%sx%d", last, count-1))
		}
	}
	perStep := w.step.Minutes()
	total := 0.0
	for m := minute(0); m <= w.length; m += minute(perStep) {
		v := w.series[name](m)
		form := "_"
		if !math.IsNaN(v) {
			if w.steady[name] {
				total += v * perStep
				v = math.Floor(total + 1e-9)
			}
			form = fmt.Sprintf("%g+0", v)
		} else {
			total = 0 // who comes back begins anew
		}
		if form != last {
			flush()
			last, count = form, 0
		}
		count++
	}
	flush()
	return strings.Join(runs, " ")
}

// calls is a counter that grows by one at each of these moments.
func (w *world) calls(name string, l labels, at ...minute) {
	w.counter(name, l, func(m minute) float64 {
		if slices.Contains(at, m) {
			return 1 / w.step.Minutes()
		}
		return 0
	})
}

// every so many minutes, from a moment on, so many times.
func every(minutes, from minute, times int) (all []minute) {
	for n := range times {
		all = append(all, from+minutes*minute(n))
	}
	return all
}
