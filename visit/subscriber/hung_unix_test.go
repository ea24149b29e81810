//go:build unix

package subscriber_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/brokertest"
	"github.com/sine-relay/sine-relay/visit"
)

// Until NATS drops the one of two that hangs, the other one answers what it is asked,
// at first or at the second attempt.
func TestOneOfTwoDecidersIsStopped(t *testing.T) {
	t.Parallel()
	s := &site{Server: brokertest.Start(t, func(o *server.Options) { o.PingInterval, o.MaxPingsOut = time.Second, 2 })}
	s.js = s.JetStream()
	child := startChild(t, s)
	startChild(t, s)
	reg := prometheus.NewRegistry()
	b, err := broker.Connect(broker.Config{Servers: []string{s.URL()}, Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(context.Background()) })
	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		defer cancel()
		_, err := b.Ask(ctx, visit.Message{Root: visit.RootAsk, Subject: "visitors.v1.ask.hq.default", Data: question(t)})
		return err
	}
	eventually(t, "they answer", func() bool { return ask() == nil })
	if err := child.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	const enough = 20
	answered, asked, inARow := 0, 0, 0
	eventually(t, "NATS has dropped the one that hangs", func() bool {
		before := again(t, reg)
		err := ask()
		asked++
		if err == nil {
			answered++
		}
		if inARow++; err != nil || again(t, reg) > before {
			inARow = 0
		}
		return inARow == enough
	})
	secondTime := again(t, reg)
	t.Logf("of %d questions %d were answered, %v were asked again", asked, answered, secondTime)
	if secondTime == 0 {
		t.Error("none was asked again: the test tries nothing")
	}
}

// again counts the questions that were asked again.
func again(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == "sine_relay_decider_request_retries_total" {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
