package broker_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// patience bounds every wait; it is far above what any of them needs.
const patience = 30 * time.Second

// atOnce is far below patience, and generous to a machine that is busy.
const atOnce = 5 * time.Second

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// unlessHeldUp tries what takes a defect to be slow, and then is slow each time. A
// machine that is busy is slow now and then.
func unlessHeldUp(t *testing.T, try func() error) {
	t.Helper()
	const tries = 10
	for i := range tries {
		err := try()
		if err == nil {
			return
		}
		t.Logf("try %d of %d: %v", i+1, tries, err)
	}
	t.Error("slow each time")
}

// connectTo returns a broker on the server. It need not be ready.
func connectTo(t *testing.T, s *natstest.Server, change ...func(*broker.Config)) *broker.Broker {
	t.Helper()
	cfg := broker.Config{
		Servers:    []string{s.URL()},
		Events:     broker.StreamConfig{MaxBytes: 8 << 20},
		Decisions:  broker.StreamConfig{MaxBytes: 8 << 20},
		Quarantine: broker.StreamConfig{MaxBytes: 8 << 20},
	}
	for _, c := range change {
		c(&cfg)
	}
	b, err := broker.Connect(cfg)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { b.Close(context.Background()) })
	return b
}

// ready returns a broker that has verified its streams.
func ready(t *testing.T, s *natstest.Server, change ...func(*broker.Config)) *broker.Broker {
	t.Helper()
	b := connectTo(t, s, change...)
	awaitReady(t, b)
	return b
}

func awaitReady(t *testing.T, b *broker.Broker) {
	t.Helper()
	eventually(t, "the broker is ready", func() bool {
		s := b.Status()
		return s.DoorConnected && s.EventsConnected && s.Verified && s.Fault == nil
	})
}

// awaitFault returns the fault that comes up.
func awaitFault(t *testing.T, b *broker.Broker, part string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("status: %s", strings.Join(b.Status().Lines(), "\n"))
		}
	}()
	eventually(t, "a fault with "+part, func() bool {
		f := b.Status().Fault
		return f != nil && strings.Contains(f.Error(), part)
	})
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func question() visit.Message {
	return visit.Message{
		Root: visit.RootAsk, Subject: "visitors.v1.ask.hq.watchlist",
		Header: map[string][]string{visit.HeaderRequestID: {"R"}}, Data: []byte(`{"person":{"firstName":"Zmark"}}`),
	}
}

func event(id string) visit.Message {
	return visit.Message{
		Root: visit.RootEvent, Subject: "visitors.v1.event.hq.checked_in", ID: id,
		Header: map[string][]string{visit.HeaderMsgID: {id}, visit.HeaderID: {id}}, Data: []byte(`{"id":"` + id + `"}`),
	}
}

// decide runs a decider; answer gets each question.
func decide(t *testing.T, nc *nats.Conn, answer func(*nats.Msg)) {
	t.Helper()
	if _, err := nc.Subscribe("visitors.v1.ask.>", answer); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

// stored counts the messages in the event stream.
func stored(t *testing.T, s *natstest.Server, o ...nats.Option) uint64 {
	t.Helper()
	js := s.JetStream(o...)
	stream, err := js.Stream(within(t, patience), visit.DefaultEventStream)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

// sample reads one metric; labels are given as name, value, name, value.
func sample(t *testing.T, reg *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	metrics:
		for _, m := range f.GetMetric() {
			for i := 0; i < len(labels); i += 2 {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				if !found {
					continue metrics
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s %v", name, labels)
	return 0
}

// always is a secret that stays the same.
func always(secret string) func() string { return func() string { return secret } }
