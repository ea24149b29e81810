package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// accompany starts the example decider and the printer of events, as another
// team's program would: over NATS, with the contract's packages.
func (a *app) accompany(ctx context.Context, out io.Writer, running *sync.WaitGroup) error {
	if err := a.awaitReady(ctx); err != nil {
		return err
	}
	deciding, err := a.connectAs(embedded.UserDecider)
	if err != nil {
		return err
	}
	receiving, err := a.connectAs(embedded.UserConsumer)
	if err != nil {
		deciding.Close()
		return err
	}
	js, err := jetstream.New(receiving)
	if err != nil {
		deciding.Close()
		receiving.Close()
		return err
	}
	subjects := visit.Subjects{Prefix: a.settings.SubjectPrefix}
	sites, deciders := a.doors()
	var companions, listening sync.WaitGroup
	for _, decider := range deciders {
		listening.Add(1)
		companions.Go(func() {
			ready := sync.OnceFunc(listening.Done)
			defer ready() // also when it cannot start
			cfg := subscriber.DeciderConfig{
				Sites: sites[decider], Decider: decider, Version: "0.0.1", Description: "The example of sine-relay dev",
				Subjects: subjects, OnReady: ready,
			}
			a.complain(subscriber.Decide(ctx, deciding, cfg, exampleDecision))
		})
	}
	companions.Go(func() {
		cfg := subscriber.EventsConfig{Durable: "sine-relay-dev", Stream: a.settings.EventStream, Subjects: subjects}
		a.complain(subscriber.Events(ctx, js, cfg, func(_ context.Context, e visit.Event) error {
			printEvent(out, e)
			return nil
		}))
	})
	running.Go(func() {
		companions.Wait()
		deciding.Close()
		receiving.Close()
	})
	listening.Wait() // or the first visitor would find nobody
	return nil
}

func (a *app) complain(err error) {
	if err != nil {
		a.log.Error("dev", "reason", err.Error())
	}
}

// awaitReady waits until the relay is ready, or cannot become so by itself.
func (a *app) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		state, health := a.readiness.State()
		switch {
		case state.Word == "ready":
			return nil
		case health.Fault != nil || state.Ready:
			return errors.New(state.String())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// connectAs connects as one of the embedded NATS' users, or as the relay's own where
// NATS is somewhere else.
func (a *app) connectAs(user string) (*nats.Conn, error) {
	address := strings.Join(a.settings.NATSServers(), ",")
	if a.embedded != nil {
		address = a.embedded.ClientURL(user)
	}
	return nats.Connect(address, nats.Name("sine-relay dev"), nats.MaxReconnects(-1))
}

// doors lists every decider's sites.
func (a *app) doors() (sites map[string][]string, deciders []string) {
	sites = map[string][]string{}
	seen := map[string]bool{}
	for _, i := range a.settings.Integrations {
		for _, decider := range i.DeciderNames() {
			if seen[i.Site+"/"+decider] {
				continue
			}
			seen[i.Site+"/"+decider] = true
			if sites[decider] == nil {
				deciders = append(deciders, decider)
			}
			sites[decider] = append(sites[decider], i.Site)
		}
	}
	return sites, deciders
}

// exampleDecision lets everybody in but a company that is called Denied.
func exampleDecision(_ context.Context, q visit.Request) (visit.Decision, error) {
	if strings.EqualFold(q.Company, "Denied") {
		return visit.Decision{
			Verdict:     visit.Reject,
			VisitorText: "Your company is not expected today. Please see reception.",
			AdminNote:   "Rejected by the example decider: the company is called Denied.",
		}, nil
	}
	return visit.Decision{Verdict: visit.Accept, VisitorText: "Welcome, " + q.Person.FirstName + "!", AdminNote: "Accepted by the example decider."}, nil
}

// printEvent shows an event to the developer who sent it: the one place where
// names are printed.
func printEvent(out io.Writer, e visit.Event) {
	fmt.Fprintf(out, "event  %s  %s  site %s  %s %s, %s  (id %s)\n",
		e.Time.Format(time.RFC3339), printable(string(e.Kind)), printable(e.Site),
		printable(e.Person.FirstName), printable(e.Person.LastName), printable(e.Company), printable(e.ID))
}
