package broker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
)

func TestDrift_IsReportedForEachField(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*jetstream.StreamConfig){
		"discard":              func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld },
		"max_bytes":            func(c *jetstream.StreamConfig) { c.MaxBytes = -1 },
		"max_age":              func(c *jetstream.StreamConfig) { c.MaxAge = 31 * 24 * time.Hour },
		"max_msgs":             func(c *jetstream.StreamConfig) { c.MaxMsgs = 1000 },
		"max_msgs_per_subject": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1000 },
		"duplicate_window":     func(c *jetstream.StreamConfig) { c.Duplicates = 2 * time.Minute },
		"retention":            func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy },
		"subject_transform": func(c *jetstream.StreamConfig) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "visitors.v1.event.>", Destination: "v.>"}
		},
	} {
		t.Run(field, func(t *testing.T) {
			s := natstest.Start(t)
			createStream(t, s, change)
			reg := prometheus.NewRegistry()
			b := ready(t, s, func(c *broker.Config) { c.Registerer = reg })
			if lines := b.Status().Streams[0].Drift; len(lines) != 1 || !strings.HasPrefix(lines[0], "stream VISITORS: "+field+" is ") {
				t.Errorf("%q", lines)
			}
			for _, other := range []string{field, "num_replicas"} {
				want := 0.0
				if other == field {
					want = 1
				}
				if n := sample(t, reg, "sine_relay_stream_drift", "stream", "VISITORS", "field", other); n != want {
					t.Errorf("drift of %s is %v", other, n)
				}
			}
		})
	}
}

func TestDrift_ReportsTooFewReplicas(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	createStream(t, s, func(*jetstream.StreamConfig) {})
	b := connectTo(t, s, func(c *broker.Config) { c.Streams.Replicas = 3 })
	eventually(t, "the drift is seen", func() bool {
		return len(b.Status().Streams[0].Drift) == 1 && strings.Contains(b.Status().Streams[0].Drift[0], "num_replicas is 1, wanted 3")
	})
}

func TestDrift_ThatAppearsLaterIsReported(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	js := s.JetStream()
	stream, err := js.Stream(within(t, patience), "VISITORS")
	if err != nil {
		t.Fatal(err)
	}
	c := stream.CachedInfo().Config
	c.Discard = jetstream.DiscardOld
	if _, err := js.UpdateStream(within(t, patience), c); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	s.Restart()
	eventually(t, "the drift is seen", func() bool { return len(b.Status().Streams[0].Drift) == 1 })
}
