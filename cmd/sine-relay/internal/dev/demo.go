package dev

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// start starts the example deciders and the printer of events, as another
// team's program would: over NATS, with the contract's packages.
func (d *demo) start(ctx context.Context, running *sync.WaitGroup) error {
	if err := d.awaitReady(ctx); err != nil {
		return err
	}
	receiving, err := d.connectAs(embedded.UserConsumer)
	if err != nil {
		return err
	}
	js, err := jetstream.New(receiving)
	if err != nil {
		receiving.Close()
		return err
	}
	examples, looked := newExamples(d), make(chan struct{})
	var both sync.WaitGroup
	both.Go(func() { examples.run(ctx, func() { close(looked) }) })
	both.Go(func() {
		cfg := subscriber.EventsConfig{Durable: "sine-relay-dev", Corrections: true, Stream: d.Settings.EventStream, Subjects: examples.subjects}
		d.logFailed(subscriber.Events(ctx, js, cfg, func(_ context.Context, e visit.Event) error {
			printEvent(d.Stdout, e)
			return nil
		}))
	})
	running.Go(func() {
		both.Wait()
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

// recordPrinter prints each record of a decision on its way to the stream.
type recordPrinter struct {
	relay.Publisher
	out io.Writer
}

func (p recordPrinter) Publish(ctx context.Context, m visit.Message) (visit.Receipt, error) {
	var r visit.Record
	if m.Root == visit.RootDecision && json.Unmarshal(m.Data, &r) == nil {
		printRecord(p.out, r)
	}
	return p.Publisher.Publish(ctx, m)
}

// printRecord says in a line how a check-in request was answered, and by whom.
func printRecord(out io.Writer, r visit.Record) {
	verdict := map[visit.Verdict]string{visit.Accept: "accepted", visit.Reject: "rejected"}[r.Verdict]
	rest := []string{"request " + r.RequestID}
	if len(r.Missing) > 0 {
		rest = append(rest, "missing "+strings.Join(r.Missing, ", "))
	}
	fmt.Fprintf(out, "decision  %s  %s  site %s  reference %s  %s  after %.1f ms  (%s)\n",
		r.Received.Format(time.RFC3339), verdict, terminal.Printable(r.Site), terminal.Printable(r.Reference),
		terminal.Printable(settledBy(r)), r.TookMs, terminal.Printable(strings.Join(rest, "; ")))
}

// settledBy names the deciders that decided, with their versions, or why none did.
func settledBy(r visit.Record) string {
	var by []string
	for _, v := range r.Votes {
		if v.Situation == visit.SituationDecided && !v.Shadow {
			by = append(by, strings.TrimSpace(v.Decider+" "+v.Version))
		}
	}
	switch {
	case r.Order != nil:
		return fmt.Sprintf("by the %s", r.Order.Kind)
	case r.Fallback || len(by) == 0:
		return "because " + r.Rule
	default:
		return "by decider " + strings.Join(by, ", ")
	}
}

// printEvent shows an event to the developer who sent it: the one place where
// names are printed.
func printEvent(out io.Writer, e visit.Event) {
	who := []string{strings.TrimSpace(e.Person.FirstName + " " + e.Person.LastName), e.Company}
	who = slices.DeleteFunc(who, func(part string) bool { return part == "" })
	what := "event"
	rest := []string{"id " + e.ID}
	if e.IsCorrection() {
		what = "correction"
		rest = append(rest, fmt.Sprintf("revision %d of event %s", e.Revision, e.Corrects))
	}
	if e.Cause != "" {
		rest = append(rest, "cause "+string(e.Cause))
	}
	if len(e.Missing) > 0 {
		rest = append(rest, "missing "+strings.Join(e.Missing, ", "))
	}
	fmt.Fprintf(out, "%-8s  %s  %s  site %s  %s  (%s)\n", what,
		e.Time.Format(time.RFC3339), terminal.Printable(string(e.Kind)), terminal.Printable(e.Site),
		terminal.Printable(cmp.Or(strings.Join(who, ", "), "nobody is named")), terminal.Printable(strings.Join(rest, "; ")))
}
