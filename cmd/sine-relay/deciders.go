package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/visit"
)

// censusInterval is between two looks at who answers questions.
const censusInterval = 15 * time.Second

// listDeciders shows who answers for which integration, and who is missing.
func listDeciders(ctx context.Context, in invocation) int {
	if !noArguments("deciders", in) {
		return exitUsage
	}
	settings, code := doorSettings(in)
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
	table := newTable(in.out, "INTEGRATION", "DECIDER", "INSTANCE", "VERSION", "ANSWERED", "FAILED", "EXPIRED", "LATE", "STALLS", "AVERAGE", "DISTANCE", "UP SINCE")
	var missing []string
	for _, i := range settings.Integrations {
		for _, name := range i.DeciderNames() {
			answering := answeringFor(found, subjects, i.Site, name)
			if len(answering) == 0 {
				missing = append(missing, fmt.Sprintf("%s/%s", i.Name, name))
				table.row(i.Name, name, "nobody")
			}
			for _, d := range answering {
				table.row(i.Name, name, d.ID, d.Version,
					d.Answered, d.Failed+d.Overloaded, d.Expired, d.Late, d.Stalls, d.Average.Round(time.Microsecond*100), d.Distance.Round(time.Microsecond*100), shown(d.Started))
			}
		}
	}
	table.flush()
	if said := discovery.String(); said != "" {
		fmt.Fprintf(in.out, "\nIn the search, %s.\n", said)
	}
	if len(missing) > 0 {
		fmt.Fprintf(in.out, "\nNobody answers for %s (programs that are no NATS micro service are not seen).\n", strings.Join(missing, ", "))
		return exitFailed
	}
	return exitOK
}

// answeringFor returns those that answer the questions of a site to a decider.
func answeringFor(found []broker.Decider, s visit.Subjects, site, decider string) (answering []broker.Decider) {
	for _, d := range found {
		for _, subject := range d.Subjects {
			if subject == s.Ask(site, decider) {
				answering = append(answering, d)
				break
			}
		}
	}
	return answering
}

// operatorSettings are the settings for a command that needs an existing NATS,
// and may do without integrations.
func operatorSettings(in invocation) (config.Settings, int) {
	return settingsWithNATS(in, config.LoadForOperator)
}

// doorSettings are those for a command that is about integrations.
func doorSettings(in invocation) (config.Settings, int) {
	return settingsWithNATS(in, func(environ []string) (config.Settings, error) { return config.Load(environ, nil) })
}

func settingsWithNATS(in invocation, load func([]string) (config.Settings, error)) (config.Settings, int) {
	settings, err := load(in.environ)
	if err != nil {
		return settings, misconfigured(in, err)
	}
	if settings.NATSURL == "" {
		fmt.Fprintln(in.err, "sine-relay: set SINE_RELAY_NATS_URL to where the relay's NATS listens")
		return settings, exitUsage
	}
	return settings, exitOK
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
			c.answers.WithLabelValues(i.Name, name).Set(float64(len(answeringFor(found, subjects, i.Site, name))))
			c.counted[[2]string{i.Name, name}] = true
		}
	}
	for gone := range before {
		if !c.counted[gone] {
			c.answers.DeleteLabelValues(gone[0], gone[1])
		}
	}
}
