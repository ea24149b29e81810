package main

import (
	"context"
	"fmt"
	"strings"
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
	found, err := broker.FindDeciders(ctx, brokerConfig(settings, nil, nil, nil))
	if err != nil {
		return orderly(in, err)
	}
	subjects := visit.Subjects{Prefix: settings.SubjectPrefix}
	table := newTable(in.out, "INTEGRATION", "DECIDER", "INSTANCE", "VERSION", "ANSWERED", "FAILED", "AVERAGE", "DISTANCE", "UP SINCE")
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
					d.Answered, d.Failed+d.Overloaded+d.Expired, d.Average.Round(time.Microsecond*100), d.Distance.Round(time.Microsecond*100), shown(d.Started))
			}
		}
	}
	table.flush()
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
	counted map[[2]string]bool // by integration and decider, at the last look
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

func (c *census) count(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, natsPatience)
	defer cancel()
	found, err := c.app.broker.Deciders(ctx)
	if err != nil {
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
