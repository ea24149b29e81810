package desk_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/desk"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

const patience = wait.Limit

var (
	eventually = wait.Until
	within     = wait.Context
)

func TestMain(m *testing.M) { wait.Main(m) }

// relayOn returns the broker of a relay that has verified its streams.
func relayOn(t testing.TB, s *natstest.Server) *broker.Broker {
	t.Helper()
	small := streams.Limits{MaxBytes: 64 << 20}
	b, err := broker.Connect(broker.Config{
		NATS:    dial.Config{Servers: []string{s.URL()}, Auth: asUser(s, "relay")},
		Streams: streams.Config{Events: small, Decisions: small, Quarantine: small},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(context.Background()) })
	eventually(t, "the relay has verified its streams, and the bucket is there", func() bool { return b.Status().Verified && b.Status().OrdersRead })
	return b
}

// asUser is how one of the server's users signs in, where it has users.
func asUser(s *natstest.Server, name string) dial.Auth {
	if len(s.Users()) == 0 {
		return dial.Auth{}
	}
	return dial.Auth{User: name, Password: func() string { return "Zsecret" }}
}

// opened is a desk, what it logged, and its metrics.
type opened struct {
	*desk.Desk
	log     *logtest.Buffer
	metrics *prometheus.Registry
}

func openDesk(t testing.TB, s *natstest.Server, user string) opened {
	t.Helper()
	o := opened{log: &logtest.Buffer{}, metrics: prometheus.NewRegistry()}
	var err error
	o.Desk, err = desk.Open(desk.Config{
		Config: admin.Config{NATS: dial.Config{Servers: []string{s.URL()}, Auth: asUser(s, user)}},
		Logger: o.log.Text(), Registerer: o.metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	return o
}

// deskOn is one that is connected.
func deskOn(t testing.TB, s *natstest.Server) opened {
	t.Helper()
	o := openDesk(t, s, "desk")
	connected(t, o)
	return o
}

func connected(t testing.TB, o opened) {
	t.Helper()
	eventually(t, "the desk is connected", func() bool { return o.Connected() == nil })
}

// confined has a relay, a team that may do everything, and a desk that may publish to
// these subjects alone.
func confined(publish, subscribe []string) func(*server.Options) {
	return func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "relay", Password: "Zsecret"},
			{Username: "team", Password: "Zsecret"},
			{Username: "desk", Password: "Zsecret", Permissions: &server.Permissions{
				// An empty list would allow everything.
				Publish:   &server.SubjectPermission{Allow: append([]string{"nothing"}, publish...)},
				Subscribe: &server.SubjectPermission{Allow: append([]string{"nothing"}, subscribe...)},
			}},
		}
	}
}

// record is of a check-in request that was received at a time.
func record(site string, verdict visit.Verdict, received time.Time) visit.Record {
	id := visit.NewRequestID()
	return visit.Record{
		RequestID: id, Reference: visit.Reference(id), Site: site, Integration: "lobby", Received: received.UTC(),
		Visit: visit.NewVisitKey(""), Verdict: verdict, Situation: "decided", Rule: "all: default " + string(verdict) + "ed", Policy: "p1",
		Votes: []visit.Vote{{Decider: "default", Situation: "decided", Verdict: verdict, TookMs: 3.5}},
	}
}

// event is one with a name, a form answer and what Sine sent.
func event(site string, kind visit.Kind, received time.Time) visit.Event {
	return visit.Event{
		ID: visit.EventID("lobby", kind, visit.Fingerprint{}), Kind: kind,
		Origin: visit.Origin{
			RequestID: visit.NewRequestID(), Site: site, Integration: "lobby", Time: received.UTC(), TimeBasis: visit.TimeReceived,
			TimeZone: "UTC", Received: received.UTC(), Visit: visit.NewVisitKey("v-" + visit.NewRequestID()),
		},
		Pass:   visit.Pass{Person: visit.Person{FirstName: "Ada", LastName: "Zlovelace"}, FormAnswers: []visit.FormAnswer{{Label: "Q", Value: "A"}}},
		Source: visit.Source(fmt.Sprintf(`{"event": %q}`, kind)),
	}
}

// messenger is what has a message.
type messenger interface {
	Message(visit.Subjects) (visit.Message, error)
}

func publish(t testing.TB, b *broker.Broker, all ...messenger) {
	t.Helper()
	for _, one := range all {
		m, err := one.Message(visit.Subjects{})
		if err == nil {
			_, err = b.Publish(within(t, patience), m)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// entry is an audit entry.
func entry(site string, action visit.Action, at time.Time) visit.Audit {
	return visit.Audit{ID: visit.NewRequestID(), Time: at.UTC(), Action: action, Site: site, Subject: "K7Q2M", User: "ann@example.com", Role: "reception"}
}

var errEnough = errors.New("enough")

// natsMsg is a message as nats.go takes it.
func natsMsg(m visit.Message) *nats.Msg {
	return &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}
}

var teamUser = nats.UserInfo("team", "Zsecret")

// gauged is the value of a metric of which there is one, and whether it is known.
func (o opened) gauged(t testing.TB, name string) (value float64, known bool) {
	t.Helper()
	families, err := o.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name && len(f.GetMetric()) == 1 {
			value = f.GetMetric()[0].GetGauge().GetValue()
			return value, !math.IsNaN(value)
		}
	}
	return 0, false
}

// counted is how many messages of a stream were passed over.
func (o opened) counted(t testing.TB, stream string) float64 {
	t.Helper()
	families, err := o.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "sine_relay_desk_unreadable_messages_total" && m.GetLabel()[0].GetValue() == stream {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("nothing counts what is passed over in %s", stream)
	return 0
}
