package embedded_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/embedded"
)

// What a user may on the embedded NATS it may on that of deploy/nats, and the other
// way round.
func TestAccounts_EqualThoseOfTheDeployment(t *testing.T) {
	t.Parallel()
	own, err := os.ReadFile("accounts.conf")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("../../deploy/nats/accounts.conf")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(own, example) {
		t.Error("they differ: cp deploy/nats/accounts.conf broker/embedded/accounts.conf")
	}
}

// A newcomer's program needs no word about accounts, prefixes or permissions.
func TestAccounts_EachUserWorksWithAnOrdinaryClient(t *testing.T) {
	t.Parallel()
	s := start(t, embedded.Config{StoreDir: t.TempDir(), Names: embedded.Names{
		SubjectPrefix: "acme.visitors", InboxPrefix: "_OURS", EventStream: "PEOPLE", OrderBucket: "ORDERS",
	}})
	relay := connect(t, s.ClientURL("relay"), nats.CustomInboxPrefix("_OURS"))
	if _, err := relay.CreateStream(t.Context(), jetstream.StreamConfig{Name: "PEOPLE", Subjects: []string{"acme.visitors.v1.event.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := relay.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KV_ORDERS", Subjects: []string{"$KV.ORDERS.>"}}); err != nil {
		t.Fatal(err)
	}
	consumer := connect(t, s.ClientURL("consumer"))
	live, err := consumer.Conn().SubscribeSync("acme.visitors.v1.event.>")
	if err != nil || consumer.Conn().Flush() != nil {
		t.Fatal(err)
	}
	if _, err := relay.Publish(t.Context(), "acme.visitors.v1.event.hq.checked_in", []byte("Ada")); err != nil {
		t.Fatal(err)
	}
	if m, err := live.NextMsg(10 * time.Second); err != nil || string(m.Data) != "Ada" {
		t.Errorf("live: %v %v", m, err)
	}
	durable, err := consumer.CreateConsumer(t.Context(), "PEOPLE", jetstream.ConsumerConfig{Durable: "team", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	m, err := durable.Next()
	if err != nil || string(m.Data()) != "Ada" || m.DoubleAck(t.Context()) != nil {
		t.Errorf("stored: %v %v", m, err)
	}

	decider := connect(t, s.ClientURL("decider")).Conn()
	if _, err := decider.QueueSubscribe("acme.visitors.v1.ask.hq.default", "q", func(m *nats.Msg) { m.Respond([]byte("yes")) }); err != nil || decider.Flush() != nil {
		t.Fatal(err)
	}
	operator := connect(t, s.ClientURL("operator"))
	for who, nc := range map[string]*nats.Conn{"the relay": relay.Conn(), "an operator": operator.Conn()} {
		if reply, err := nc.Request("acme.visitors.v1.ask.hq.default", nil, 10*time.Second); err != nil || string(reply.Data) != "yes" {
			t.Errorf("%s asks: %v %v", who, reply, err)
		}
	}
	for _, user := range []string{"operator", "desk"} {
		js := connect(t, s.ClientURL(user))
		if _, err := js.Publish(t.Context(), "$KV.ORDERS.lockdown.all", []byte("x")); err != nil {
			t.Errorf("%s gives an order: %v", user, err)
		}
	}
}

// Whoever has one password has no other user's rights.
func TestAccounts_NoUserHasAnothersPermissions(t *testing.T) {
	t.Parallel()
	s := start(t, embedded.Config{StoreDir: t.TempDir()})
	for _, c := range []struct{ user, subject string }{
		{"decider", "visitors.v1.event.hq.checked_in"}, {"decider", "_INBOX_SINE_RELAY.x.y"}, {"decider", "$KV.VISITOR_ORDERS.lockdown.all"},
		{"consumer", "visitors.v1.event.hq.checked_in"}, {"consumer", "$JS.API.STREAM.DELETE.VISITORS"}, {"consumer", "_INBOX_SINE_RELAY.x.y"},
		{"operator", "_INBOX_SINE_RELAY.x.y"}, {"desk", "visitors.v1.event.hq.checked_in"},
		{"relay", "$KV.VISITOR_ORDERS.lockdown.all"}, {"relay", "$JS.API.STREAM.DELETE.VISITORS"}, {"admin", "visitors.v1.event.hq.checked_in"},
	} {
		nc := connect(t, s.ClientURL(c.user), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})).Conn()
		if err := nc.Publish(c.subject, nil); err != nil {
			t.Fatal(err)
		}
		if err := nc.FlushTimeout(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		if err := nc.LastError(); err == nil || !strings.Contains(err.Error(), c.subject) {
			t.Errorf("%s may publish to %s: %v", c.user, c.subject, err)
		}
	}
}
