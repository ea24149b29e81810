package broker_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
)

// Whoever runs the embedded NATS on a small volume is told what to set, and nothing is
// made before that a lower setting could not take back.
func TestEmbedded_ReportsAStoreThatIsTooSmallForItsStreams(t *testing.T) {
	t.Parallel()
	const limit = 20 << 20
	s := natstest.Start(t, func(o *server.Options) { o.JetStreamMaxStore = limit })
	embedded := func(each int64) func(*broker.Config) {
		return func(c *broker.Config) {
			c.Servers, c.InProcess, c.StoreLimit = nil, s.Server(), limit
			c.Events.MaxBytes, c.Decisions.MaxBytes, c.Quarantine.MaxBytes = each, each, each
		}
	}
	b := connectTo(t, s, embedded(8<<20))
	awaitFault(t, b, "SINE_RELAY_EVENT_STREAM_MAX_BYTES, SINE_RELAY_DECISION_STREAM_MAX_BYTES and SINE_RELAY_QUARANTINE_STREAM_MAX_BYTES to 20 MiB together")
	if n := strings.Count(b.Status().Fault.Error(), "too small"); n != 1 {
		t.Errorf("it is said %d times: %v", n, b.Status().Fault)
	}
	if _, err := s.JetStream().Stream(t.Context(), "VISITORS"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("%v", err)
	}
	ready(t, s, embedded(6<<20))
}
