package dev

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// start starts the example deciders and the printer of events, as another
// team's program would: over NATS, with the contract's packages.
func (d *demo) start(ctx context.Context, running *sync.WaitGroup) error {
	if err := d.awaitReady(ctx); err != nil {
		return err
	}
	deciding, err := d.connectAs(embedded.UserDecider)
	if err != nil {
		return err
	}
	receiving, err := d.connectAs(embedded.UserConsumer)
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
	examples, looked := newExamples(d, deciding), make(chan struct{})
	var both sync.WaitGroup
	both.Go(func() { examples.run(ctx, func() { close(looked) }) })
	both.Go(func() {
		cfg := subscriber.EventsConfig{Durable: "sine-relay-dev", Stream: d.Settings.EventStream, Subjects: examples.subjects}
		d.logFailed(subscriber.Events(ctx, js, cfg, func(_ context.Context, e visit.Event) error {
			printEvent(d.Stdout, e)
			return nil
		}))
	})
	running.Go(func() {
		both.Wait()
		deciding.Close()
		receiving.Close()
	})
	<-looked // or the first visitor would find nobody
	return nil
}

func (d *demo) logFailed(err error) {
	if err != nil {
		d.Log.Error("dev", "reason", err.Error())
	}
}

// awaitReady waits until the relay is ready, were it degraded, or cannot become so by
// itself.
func (d *demo) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		state, health := d.Readiness.State()
		switch {
		case state.Ready:
			return nil
		case health.Err != nil:
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
func (d *demo) connectAs(user string) (*nats.Conn, error) {
	address := strings.Join(d.Settings.NATSServers(), ",")
	if d.Embedded != nil {
		address = d.Embedded.ClientURL(user)
	}
	return nats.Connect(address, nats.Name("sine-relay dev"), nats.MaxReconnects(-1))
}
