package broker_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// Whatever is full is named, from the first message that it refuses to the first
// that it takes, or until a look shows that there is room.
func TestStream_FullOneIsNamedUntilItStoresAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		stream string
		make   func(t *testing.T, id string) visit.Message
	}{
		{"VISITORS", func(t *testing.T, id string) visit.Message { return happened(t, "lobby", "hq", "", id) }},
		{"VISITOR_DECISIONS", func(t *testing.T, id string) visit.Message {
			m, err := (&visit.Record{RequestID: id, Site: "hq", Integration: "lobby", Verdict: visit.Accept}).Message(visit.Subjects{})
			if err != nil {
				t.Fatal(err)
			}
			return m
		}},
		{"VISITOR_QUARANTINE", func(_ *testing.T, id string) visit.Message { return unreadable("lobby", id, 100) }},
	} {
		t.Run(c.stream, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t)
			reg := prometheus.NewRegistry()
			b, js := ready(t, s, func(cfg *broker.Config) { cfg.Registerer = reg }), s.JetStream()
			publish := func(id string) error {
				_, err := b.Publish(within(t, patience), c.make(t, id))
				return err
			}
			gauges := func(full, usable float64) {
				t.Helper()
				for name, want := range map[string]float64{"full": full, "usable": usable} {
					if got := sample(t, reg, "sine_relay_stream_"+name, "stream", c.stream); got != want {
						t.Errorf("stream_%s is %v, want %v", name, got, want)
					}
				}
			}
			fill := func(id string) {
				t.Helper()
				bound(t, js, c.stream, func(cfg *jetstream.StreamConfig) { cfg.MaxMsgs = 1 })
				if err := errors.Join(publish(id)); err != nil {
					t.Fatal(err)
				}
				gauges(0, 1)
				if err := publish(id + "-more"); !errors.Is(err, visit.ErrStreamFull) {
					t.Fatal(err)
				}
				gauges(1, 1)
				if got := impaired(b); !strings.Contains(got, "stream "+c.stream+" is full: maximum messages exceeded") {
					t.Errorf("degraded by %q", got)
				}
			}
			eventually(t, "the bucket of orders is usable", func() bool {
				return sample(t, reg, "sine_relay_stream_usable", "stream", "KV_VISITOR_ORDERS") == 1
			})
			gauges(0, 1)
			fill("1")
			bound(t, js, c.stream, func(cfg *jetstream.StreamConfig) { cfg.MaxMsgs = -1 })
			if err := publish("2"); err != nil {
				t.Fatal(err)
			}
			gauges(0, 1)
			if got := impaired(b); got != "" {
				t.Errorf("afterwards degraded by %q", got)
			}
			purge(t, js, c.stream)
			fill("3")
			purge(t, js, c.stream)
			eventually(t, "a look shows room", func() bool { return impaired(b) == "" })
			gauges(0, 1)
		})
	}
}

// The server's storage is used up. No limit of the stream tells, and so it stays
// named until less is in it.
func TestStream_FullServerIsNamed(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) { o.JetStreamMaxStore = 64 << 10 })
	createStream(t, s, func(c *jetstream.StreamConfig) { c.MaxBytes = -1 })
	b := connectTo(t, s, func(c *broker.Config) { c.Streams.Decisions.MaxBytes, c.Streams.Quarantine.MaxBytes = 1024, 1024 })
	awaitReady(t, b)
	var err error
	for i := 0; err == nil && i < 9; i++ {
		m := happened(t, "lobby", "hq", "", fmt.Sprint(i))
		m.Data = make([]byte, 20<<10)
		_, err = b.Publish(within(t, patience), m)
	}
	if !errors.Is(err, visit.ErrStreamFull) || !strings.Contains(impaired(b), "stream VISITORS is full") {
		t.Fatalf("%v, degraded by %q", err, impaired(b))
	}
	for range 3 { // looks, which show a stream without a limit
		b.CheckSoon()
		time.Sleep(300 * time.Millisecond)
	}
	if !strings.Contains(impaired(b), "stream VISITORS is full") {
		t.Errorf("after looks: degraded by %q", impaired(b))
	}
	purge(t, s.JetStream(), "VISITORS")
	eventually(t, "a look shows that it was emptied", func() bool { return impaired(b) == "" })
}
