package broker_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/internal/promtest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

const patience = wait.Limit

var (
	eventually = wait.Until
	within     = wait.Context
	sample     = promtest.Sum
)

// atOnce is far below patience, and generous to a machine that is busy.
const atOnce = 5 * time.Second

func TestMain(m *testing.M) { wait.Main(m) }

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
		NATS: dial.Config{Servers: []string{s.URL()}},
		Streams: streams.Config{
			Events:     streams.Limits{MaxBytes: 8 << 20},
			Decisions:  streams.Limits{MaxBytes: 8 << 20},
			Quarantine: streams.Limits{MaxBytes: 8 << 20},
		},
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

// command is the configuration of an operator's command.
func command(cfg broker.Config) admin.Config {
	return admin.Config{NATS: cfg.NATS, Streams: cfg.Streams, Orders: cfg.Orders}
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
		return s.RequestsConnected && s.EventsConnected && s.Verified && s.Fault == nil
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

// always is a secret that stays the same.
func always(secret string) func() string { return func() string { return secret } }
