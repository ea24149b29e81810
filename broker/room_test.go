package broker_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/streams"
)

// Whoever runs the embedded NATS on a small volume reads what to set, and nothing is
// made before that a lower setting could not take back.
func TestEmbedded_ReportsAStoreThatIsTooSmallForItsStreams(t *testing.T) {
	t.Parallel()
	const limit = 20 << 20
	s := natstest.Start(t, func(o *server.Options) { o.JetStreamMaxStore = limit })
	embedded := func(each int64) func(*broker.Config) {
		return func(c *broker.Config) {
			c.NATS.Servers, c.NATS.InProcess, c.Streams.StoreLimit = nil, s.Server(), limit
			c.Streams.Events.MaxBytes, c.Streams.Decisions.MaxBytes, c.Streams.Quarantine.MaxBytes = each, each, each
		}
	}
	b := connectTo(t, s, embedded(8<<20), func(c *broker.Config) {
		c.Streams.Remedy = func(err error) string {
			var room *streams.RoomError
			if errors.As(err, &room) {
				return fmt.Sprintf("lower the limits from %d to %d bytes", room.Wanted, room.Limit)
			}
			return ""
		}
	})
	awaitFault(t, b, fmt.Sprintf("lower the limits from %d to %d bytes", 24<<20, limit))
	if n := strings.Count(b.Status().Fault.Error(), "lower the limits"); n != 1 {
		t.Errorf("it is said %d times: %v", n, b.Status().Fault)
	}
	if _, err := s.JetStream().Stream(t.Context(), "VISITORS"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("%v", err)
	}
	ready(t, s, embedded(6<<20))
}

// A desk beside the relay makes a stream, too.
func TestEmbedded_CountsTheStreamOfADeskBesideIt(t *testing.T) {
	t.Parallel()
	const limit = 20 << 20
	s := natstest.Start(t, func(o *server.Options) { o.JetStreamMaxStore = limit })
	with := func(audit int64) func(*broker.Config) {
		return func(c *broker.Config) {
			c.NATS.Servers, c.NATS.InProcess, c.Streams.StoreLimit, c.Streams.DeskHere = nil, s.Server(), limit, true
			c.Streams.Events.MaxBytes, c.Streams.Decisions.MaxBytes, c.Streams.Quarantine.MaxBytes, c.Streams.Audit.MaxBytes = 6<<20, 6<<20, 6<<20, audit
		}
	}
	b := connectTo(t, s, with(3<<20))
	awaitFault(t, b, "its streams may take 21 MiB, and there was room for 20 MiB")
	if _, err := s.JetStream().Stream(t.Context(), "VISITORS"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("%v", err)
	}
	ready(t, s, with(2<<20))
}
