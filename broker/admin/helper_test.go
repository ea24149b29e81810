package admin_test

import (
	"context"
	"testing"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/internal/wait"
)

const patience = wait.Limit

var (
	eventually = wait.Until
	within     = wait.Context
)

func TestMain(m *testing.M) { wait.Main(m) }

// ready returns the broker of a relay that has verified its streams.
func ready(t *testing.T, s *natstest.Server, change ...func(*broker.Config)) *broker.Broker {
	t.Helper()
	small := streams.Limits{MaxBytes: 8 << 20}
	cfg := broker.Config{
		NATS:    dial.Config{Servers: []string{s.URL()}},
		Streams: streams.Config{Events: small, Decisions: small, Quarantine: small},
	}
	for _, c := range change {
		c(&cfg)
	}
	b, err := broker.Connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(context.Background()) })
	eventually(t, "the broker is ready", func() bool { return b.Status().Verified })
	return b
}

// always is a secret that stays the same.
func always(secret string) func() string { return func() string { return secret } }
