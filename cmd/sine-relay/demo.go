package main

import (
	"context"
	"errors"
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

// startDemo starts the example deciders and the printer of events, as another
// team's program would: over NATS, with the contract's packages.
func (a *app) startDemo(ctx context.Context, out io.Writer, running *sync.WaitGroup) error {
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
	examples, looked := newExamples(a, deciding, out), make(chan struct{})
	var demo sync.WaitGroup
	demo.Go(func() { examples.run(ctx, func() { close(looked) }) })
	demo.Go(func() {
		cfg := subscriber.EventsConfig{Durable: "sine-relay-dev", Stream: a.settings.EventStream, Subjects: examples.subjects}
		a.logFailed(subscriber.Events(ctx, js, cfg, func(_ context.Context, e visit.Event) error {
			printEvent(out, e)
			return nil
		}))
	})
	running.Go(func() {
		demo.Wait()
		deciding.Close()
		receiving.Close()
	})
	<-looked // or the first visitor would find nobody
	return nil
}

func (a *app) logFailed(err error) {
	if err != nil {
		a.log.Error("dev", "reason", err.Error())
	}
}

// awaitReady waits until the relay is ready, were it degraded, or cannot become so by
// itself.
func (a *app) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		state, health := a.readiness.State()
		switch {
		case state.Ready:
			return nil
		case health.Fault != nil:
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
