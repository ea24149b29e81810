package broker_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// After a write that failed, a server says of the stream that all is well, and neither
// stores nor answers until it is started anew.
func TestTrap_AStreamThatStoresNothingIsFitInEveryRespect(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	reg := prometheus.NewRegistry()
	b := ready(t, s, func(c *broker.Config) { c.Registerer = reg })
	breakWrites(t, s)
	publish := func(id string, patience time.Duration) error {
		m := event(id)
		m.Data = make([]byte, 512<<10)
		_, err := b.Publish(within(t, patience), m)
		return err
	}
	var err error
	for i := 0; err == nil && i < 99; i++ { // until a file is full, and there is no place for another
		err = publish("a"+string(rune('a'+i)), 3*time.Second)
	}
	if !errors.Is(err, visit.ErrTimeout) {
		t.Fatalf("%v", err)
	}
	usable := func() bool { return sample(t, reg, "sine_relay_stream_usable", "stream", "VISITORS") == 1 }
	for range 3 {
		b.CheckNow()
		if usable() || !strings.Contains(impaired(b), "stream VISITORS did not store the last message") {
			t.Fatalf("usable %v, degraded by %q", usable(), impaired(b))
		}
	}
	s.Stop()
	s.Restart()
	eventually(t, "it is usable on another connection", func() bool { return usable() && impaired(b) == "" })
}

// breakWrites takes the directory of messages away: the server goes on with the file
// that it has open, and cannot make the next.
func breakWrites(t *testing.T, s *natstest.Server) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(s.Server().StoreDir(), "*", "streams", "VISITORS", "msgs"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if err := os.RemoveAll(found[0]); err != nil {
		t.Fatal(err)
	}
}

// What the server in this process acknowledged counts for nothing when it would not
// last, and is sent again.
func TestStoreFault_AcknowledgementDoesNotCount(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	reg := prometheus.NewRegistry()
	var removed, asked atomic.Int64
	b := ready(t, s, func(c *broker.Config) {
		c.Registerer = reg
		c.Streams.StoreFault = func(stream string) error {
			if stream == "VISITORS" && removed.Load() > 0 && asked.Add(1) > removed.Load() {
				return errors.New("its directory was removed")
			}
			return nil
		}
	})
	m := event("1")
	removed.Store(1) // noticed after the first acknowledgement, and then all the time
	if _, err := b.Publish(within(t, time.Second), m); !errors.Is(err, visit.ErrStreamMissing) || !strings.Contains(err.Error(), "directory was removed") {
		t.Errorf("%v", err)
	}
	if got := impaired(b); got != "what is stored now would be lost: its directory was removed" {
		t.Errorf("degraded by %q", got)
	}
	if sample(t, reg, "sine_relay_stream_usable", "stream", "VISITORS") != 0 {
		t.Error("the stream is usable")
	}
	removed.Store(0)
	receipt, err := b.Publish(within(t, patience), m)
	if err != nil || receipt.Sequence != 1 {
		t.Errorf("%+v %v", receipt, err)
	}
	if got := impaired(b); got != "" {
		t.Errorf("afterwards degraded by %q", got)
	}
}

// Nobody need publish for it to be known, nor to be over.
func TestStoreFault_IsDetectedWithoutPublishing(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	var wrong atomic.Bool
	wrong.Store(true)
	b := connectTo(t, s, func(c *broker.Config) {
		c.Streams.StoreFault = func(string) error {
			if wrong.Load() {
				return errors.New("the clock is wrong")
			}
			return nil
		}
	})
	eventually(t, "it is degraded", func() bool { return strings.Contains(impaired(b), "the clock is wrong") })
	awaitReady(t, b) // the door must open
	if _, err := b.Publish(within(t, 300*time.Millisecond), event("1")); err == nil {
		t.Error("it was stored")
	}
	if n := stored(t, s); n != 0 {
		t.Errorf("%d are stored", n)
	}
	wrong.Store(false)
	eventually(t, "it is not any more", func() bool { return impaired(b) == "" })
	if _, err := b.Publish(context.Background(), event("2")); err != nil {
		t.Error(err)
	}
}
