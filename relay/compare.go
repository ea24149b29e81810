package relay

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sine-relay/sine-relay/relay/drift"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// comparedEvents is how many of an integration's last events are looked at for what is
// configured, and fewCompared with how few of them nothing is said of a place.
const (
	comparedEvents = 20
	fewCompared    = 5
)

// Comparison compares the configuration with events that were stored: whether what Sine
// sent last has the fields at the places, and what is expected of it.
type Comparison struct {
	reader *Reader
	of     map[string]*compared
	events int
}

// compared is what the events of an integration had.
type compared struct {
	watch *drift.Watch
	last  []comparedEvent // the newest at the end
}

type comparedEvent struct {
	found, elsewhere fields.Set
	lacks            string
}

// Finding is something about an integration that is not as configured. It names fields,
// places and keys, and no value.
type Finding struct{ Integration, What string }

// Compare returns a comparison with no events.
func (r *Reader) Compare() *Comparison {
	return &Comparison{reader: r, of: map[string]*compared{}}
}

// Events is how many were compared.
func (c *Comparison) Events() int { return c.events }

// Add compares an event; the oldest must come first. One of an integration that is not
// configured is left out, and so are tests, corrections, and those without what Sine sent.
func (c *Comparison) Add(e *visit.Event) {
	in := c.reader.integrations[e.Integration]
	if in == nil || in.Invalid || e.Synthetic || e.Corrects != "" || len(e.Source) == 0 {
		return
	}
	b, reason := in.Fields.Read(e.Source, c.reader.limits.JSONDepth)
	if reason != "" {
		return
	}
	c.events++
	of := c.of[in.Name]
	if of == nil {
		of = &compared{watch: drift.New(e.Received)}
		c.of[in.Name] = of
	}
	if len(of.last) == comparedEvents {
		of.last = of.last[1:]
	}
	of.last = append(of.last, comparedEvent{b.Found(), b.Elsewhere(), strings.Join(in.lacks(b), ", ")})
	if byPerson(e.Kind, b) {
		of.watch.Observe(e.Kind, b.Found(), drift.SumOf(b), e.Received, in.keysOf(b, c.reader.limits))
	}
}

// Findings are what is not as configured, by integration.
func (c *Comparison) Findings() (all []Finding) {
	for _, name := range slices.Sorted(maps.Keys(c.of)) {
		in, of := c.reader.integrations[name], c.of[name]
		for _, what := range slices.Concat(of.places(in), of.expected(), of.drifts()) {
			all = append(all, Finding{name, what})
		}
	}
	return all
}

// places are the fields that are at none of their configured places.
func (o *compared) places(in *Integration) (all []string) {
	if len(o.last) < fewCompared {
		return nil
	}
	var found, elsewhere fields.Set
	for _, e := range o.last {
		found, elsewhere = found|e.found, elsewhere|e.elsewhere
	}
	for _, field := range fields.All {
		places := in.Fields.Configured(field)
		if len(places) == 0 || found.Has(field) {
			continue
		}
		what := fmt.Sprintf("fields.%s: none of the last %d events has it at %s", field, len(o.last), strings.Join(places, ", "))
		if elsewhere.Has(field) {
			what += "; some have it at a built-in place"
		}
		all = append(all, what)
	}
	return all
}

// expected is what some events lack.
func (o *compared) expected() (all []string) {
	missing := map[string]int{}
	for _, e := range o.last {
		missing[e.lacks]++
	}
	delete(missing, "")
	for _, what := range slices.Sorted(maps.Keys(missing)) {
		all = append(all, fmt.Sprintf("expects: %d of the last %d events lack %s", missing[what], len(o.last), what))
	}
	return all
}

func (o *compared) drifts() (all []string) {
	for _, d := range o.watch.Drifts() {
		all = append(all, missingText(d))
	}
	return all
}
