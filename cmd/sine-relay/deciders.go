package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// censusInterval is between two looks at who answers questions.
const censusInterval = 15 * time.Second

// listDeciders shows who answers for which integration, and who is missing. Where no
// integration is configured, it shows everybody who answers.
func listDeciders(ctx context.Context, in invocation) int {
	if !noArguments("deciders", in) {
		return exitUsage
	}
	settings, code := operatorSettings(in)
	if code != exitOK {
		return code
	}
	ctx, cancel := context.WithTimeout(ctx, natsPatience)
	defer cancel()
	found, discovery, err := broker.FindDeciders(ctx, brokerConfig(settings, nil, nil, nil))
	if err != nil {
		return orderly(in, err)
	}
	subjects := visit.Subjects{Prefix: settings.SubjectPrefix}
	asked := askedBy(settings.Integrations, subjects)
	if len(settings.Integrations) == 0 {
		asked = answered(found, subjects)
	}
	table := newTable(in.out, "INTEGRATION", "SITE", "DECIDER", "INSTANCE", "VERSION", "ANSWERED", "FAILED", "EXPIRED", "LATE", "STALLS", "AVERAGE", "DISTANCE", "UP SINCE")
	var missing []string
	for _, a := range asked {
		answering := answeringFor(found, a.subject)
		if len(answering) == 0 {
			missing = append(missing, a.integration+"/"+a.decider)
			table.row(a.integration, a.site, a.decider, "nobody")
		}
		for _, d := range answering {
			table.row(a.integration, a.site, a.decider, d.ID, d.Version,
				d.Answered, d.Failed+d.Overloaded, d.Expired, d.Late, d.Stalls, d.Average.Round(time.Microsecond*100), d.Distance.Round(time.Microsecond*100), shown(d.Started))
		}
	}
	table.flush()
	if said := discovery.String(); said != "" {
		fmt.Fprintf(in.out, "\nIn the search, %s.\n", said)
	}
	switch {
	case len(missing) > 0:
		fmt.Fprintf(in.out, "\nNobody answers for %s (programs that are not a NATS micro service are not seen).\n", strings.Join(missing, ", "))
		return exitFailed
	case len(asked) == 0:
		fmt.Fprintln(in.out, "\nNobody answers (programs that are not a NATS micro service are not seen).")
		return exitFailed
	case len(settings.Integrations) == 0:
		fmt.Fprintln(in.out, "\nNo integration is configured here, so that nobody is missed. Set SINE_RELAY_INTEGRATIONS_FILE as for the relay to see for which nobody answers.")
	}
	return exitOK
}

// askedDecider is a decider of an integration.
type askedDecider struct{ integration, site, decider, subject string }

func askedBy(integrations []relay.Integration, s visit.Subjects) (all []askedDecider) {
	for _, i := range integrations {
		for _, name := range i.DeciderNames() {
			all = append(all, askedDecider{i.Name, i.Site, name, s.Ask(i.Site, name)})
		}
	}
	return all
}

// answered are those whose questions somebody answers, in the order of their subjects.
func answered(found []broker.Decider, s visit.Subjects) (all []askedDecider) {
	var answered []string
	for _, d := range found {
		answered = append(answered, d.Subjects...)
	}
	slices.Sort(answered)
	for _, subject := range slices.Compact(answered) {
		name, ours := strings.CutPrefix(subject, strings.TrimSuffix(s.All(visit.RootAsk), ">"))
		site, decider, both := strings.Cut(name, ".")
		if ours && both {
			all = append(all, askedDecider{"-", site, decider, subject})
		}
	}
	return all
}

// answeringFor returns those that answer the questions on a subject.
func answeringFor(found []broker.Decider, subject string) (answering []broker.Decider) {
	for _, d := range found {
		if slices.ContainsFunc(d.Subjects, func(pattern string) bool { return covers(pattern, subject) }) {
			answering = append(answering, d)
		}
	}
	return answering
}

// census counts who answers for each integration.
type census struct {
	app     *app
	answers *prometheus.GaugeVec
	known   prometheus.Gauge
	ignored *prometheus.CounterVec
	said    atomic.Pointer[string] // what the last look did not look at, or nil
	counted map[[2]string]bool     // by integration and decider, at the last look
}

func newCensus(a *app, reg prometheus.Registerer) *census {
	f := promauto.With(reg)
	c := &census{
		app: a,
		answers: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sine_relay_deciders", Help: "Programs that answer an integration's questions, as NATS discovery shows them.",
		}, []string{"integration", "decider"}),
		known: f.NewGauge(prometheus.GaugeOpts{
			Name: "sine_relay_deciders_known", Help: "1 while sine_relay_deciders could be counted.",
		}),
		ignored: f.NewCounterVec(prometheus.CounterOpts{
			Name: "sine_relay_discovery_ignored_total", Help: "Replies to the search for deciders that were too large to be read, and searches that ended early because too many came.",
		}, []string{"reason"}),
	}
	for _, reason := range []string{"too_large", "too_many"} {
		c.ignored.WithLabelValues(reason)
	}
	c.counted = map[[2]string]bool{}
	for _, i := range a.relay.Integrations() {
		for _, name := range i.DeciderNames() {
			c.answers.WithLabelValues(i.Name, name)
			c.counted[[2]string{i.Name, name}] = true
		}
	}
	return c
}

// run counts from time to time until ctx ends.
func (c *census) run(ctx context.Context) {
	tick := time.NewTicker(censusInterval)
	defer tick.Stop()
	for {
		c.count(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// note says what was not looked at, and why. A NATS that is away says so itself.
func (c *census) note(d broker.Discovery, err error) {
	c.ignored.WithLabelValues("too_large").Add(float64(d.Oversize))
	if d.Cut {
		c.ignored.WithLabelValues("too_many").Inc()
	}
	said := d.String()
	if err != nil && !errors.Is(err, visit.ErrDisconnected) {
		said = err.Error()
	}
	if before := c.said.Swap(&said); said != "" && (before == nil || *before != said) {
		c.app.log.Warn("search for deciders", "reason", said)
	}
}

// lines are for somebody who looks closer.
func (c *census) lines() []string {
	if said := c.said.Load(); said != nil && *said != "" {
		return []string{"search for deciders: " + *said}
	}
	return nil
}

func (c *census) count(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, natsPatience)
	defer cancel()
	found, discovery, err := c.app.broker.Deciders(ctx)
	c.note(discovery, err)
	// What was cut short counts nobody out: whoever floods the search must not
	// make it look as if nobody decides.
	if err != nil || discovery.Cut {
		c.known.Set(0)
		return
	}
	c.known.Set(1)
	subjects := visit.Subjects{Prefix: c.app.settings.SubjectPrefix}
	before := c.counted
	c.counted = map[[2]string]bool{}
	for _, i := range c.app.relay.Integrations() {
		for _, name := range i.DeciderNames() {
			c.answers.WithLabelValues(i.Name, name).Set(float64(len(answeringFor(found, subjects.Ask(i.Site, name)))))
			c.counted[[2]string{i.Name, name}] = true
		}
	}
	for gone := range before {
		if !c.counted[gone] {
			c.answers.DeleteLabelValues(gone[0], gone[1])
		}
	}
}
