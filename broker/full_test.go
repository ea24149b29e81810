package broker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

func TestTrap_AFullStreamDropsTheOldestInSilence(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s, func(c *broker.Config) { c.Streams.Events.MaxBytes = 4096 })
	m := event("1")
	m.Data = make([]byte, 3000)
	if _, err := b.Publish(within(t, patience), m); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	m.Header = event("2").Header
	_, err := b.Publish(within(t, patience), m)
	if !errors.Is(err, visit.ErrStreamFull) || time.Since(start) > atOnce {
		t.Errorf("%v after %s", err, time.Since(start))
	}
	if n := stored(t, s); n != 1 {
		t.Errorf("%d are stored", n)
	}
}

func TestPublish_ReportsAStreamThatIsFullByMessageLimits(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(*jetstream.StreamConfig){
		"messages":             func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 },
		"messages per subject": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject, c.DiscardNewPerSubject = 1, true },
	} {
		t.Run(name, func(t *testing.T) {
			s := natstest.Start(t)
			createStream(t, s, limit)
			b := ready(t, s)
			if _, err := b.Publish(within(t, patience), event("1")); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Publish(within(t, patience), event("2")); !errors.Is(err, visit.ErrStreamFull) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestPublish_ReportsServerStorageThatIsUsedUp(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) { o.JetStreamMaxStore = 64 << 10 })
	createStream(t, s, func(c *jetstream.StreamConfig) { c.MaxBytes = -1 })
	b := connectTo(t, s, func(c *broker.Config) { c.Streams.Decisions.MaxBytes, c.Streams.Quarantine.MaxBytes = 1024, 1024 })
	awaitReady(t, b)
	m := event("1")
	m.Data = make([]byte, 60<<10)
	var err error
	for i := 0; i < 3 && err == nil; i++ {
		m.Header = event(string(rune('a' + i))).Header
		_, err = b.Publish(within(t, patience), m)
	}
	if !errors.Is(err, visit.ErrStreamFull) {
		t.Errorf("%v", err)
	}
}

func TestPublish_RefusesAMessageThatIsTooLarge(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	createStream(t, s, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 8 << 10 })
	b := ready(t, s, func(c *broker.Config) { c.Streams.BodyLimit = 1 << 10 })
	for name, size := range map[string]int{"for the stream": 9 << 10, "for NATS": 2 << 20} {
		m := event(name)
		m.Data = make([]byte, size)
		start := time.Now()
		if _, err := b.Publish(within(t, patience), m); !errors.Is(err, visit.ErrTooLarge) || time.Since(start) > atOnce {
			t.Errorf("%s: %v after %s", name, err, time.Since(start))
		}
	}
}
