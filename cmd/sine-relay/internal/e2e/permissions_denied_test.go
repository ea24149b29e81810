package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// What a user may not do, in so many words: a wildcard too many in the
// configuration would show here.
func TestNobodyMayDoMore(t *testing.T) {
	t.Parallel()
	s := setStage(t, natsDir+"nats.conf")
	const hearing, sending = "subscribe", "publish"
	for _, c := range []struct{ user, name, verb, subject string }{
		{"relay", "read events as they come", hearing, "visitors.v1.event.>"},
		{"relay", "hear questions", hearing, "visitors.v1.ask.hq.default"},
		{"relay", "get an event", sending, "$JS.API.DIRECT.GET.VISITORS"},
		{"relay", "get an event from the leader", sending, "$JS.API.STREAM.MSG.GET.VISITORS"},
		{"relay", "read events by a consumer", sending, "$JS.API.CONSUMER.CREATE.VISITORS.x"},
		{"relay", "read records by a consumer", sending, "$JS.API.CONSUMER.CREATE.VISITOR_DECISIONS.x"},
		{"relay", "make a stream", sending, "$JS.API.STREAM.CREATE.VISITORS"},
		{"relay", "change a stream", sending, "$JS.API.STREAM.UPDATE.VISITORS"},
		{"relay", "delete a stream", sending, "$JS.API.STREAM.DELETE.VISITORS"},
		{"relay", "empty a stream", sending, "$JS.API.STREAM.PURGE.VISITORS"},
		{"relay", "delete an event", sending, "$JS.API.STREAM.MSG.DELETE.VISITORS"},
		{"relay", "lift a lockdown", sending, "$KV.VISITOR_ORDERS.lockdown.all"},
		{"relay", "give an override", sending, "$KV.VISITOR_ORDERS.override.all"},
		{"relay", "invent a kind of event", sending, "visitors.v1.event.hq.expelled"},
		{"relay", "publish below an event", sending, "visitors.v1.event.hq.checked_in.x"},

		{"decider", "hear another site's questions", hearing, "visitors.v1.ask.lab.default q"},
		{"decider", "hear another decider's questions", hearing, "visitors.v1.ask.hq.watchlist q"},
		{"decider", "hear its site's questions beside the one who answers", hearing, "visitors.v1.ask.hq.default"},
		{"decider", "hear all questions", hearing, "visitors.v1.ask.>"},
		{"decider", "hear events", hearing, "visitors.v1.event.hq.>"},
		{"decider", "hear others' answers", hearing, "_INBOX.>"},
		{"decider", "hear what the relay is told", hearing, "_INBOX_SINE_RELAY.>"},
		{"decider", "hear everything", hearing, ">"},
		{"decider", "ask", sending, "visitors.v1.ask.hq.default"},
		{"decider", "publish an event", sending, "visitors.v1.event.hq.checked_in"},
		{"decider", "answer what it was not asked", sending, "_INBOX_SINE_RELAY.x.y"},
		{"decider", "use JetStream", sending, "$JS.API.INFO"},

		{"consumer", "make its durable anew, and have its events delivered anywhere", sending, "$JS.API.CONSUMER.CREATE.VISITORS.badges.visitors.v1.event.hq.>"},
		{"consumer", "read another site's events", sending, "$JS.API.CONSUMER.CREATE.VISITORS.badges.visitors.v1.event.lab.>"},
		{"consumer", "read every site's events", sending, "$JS.API.CONSUMER.CREATE.VISITORS.badges.visitors.v1.event.>"},
		{"consumer", "read without a filter", sending, "$JS.API.CONSUMER.CREATE.VISITORS.badges"},
		{"consumer", "read without a filter, as older clients do", sending, "$JS.API.CONSUMER.DURABLE.CREATE.VISITORS.badges"},
		{"consumer", "read by another durable", sending, "$JS.API.CONSUMER.CREATE.VISITORS.cards.visitors.v1.event.hq.>"},
		{"consumer", "pull from another's durable", sending, "$JS.API.CONSUMER.MSG.NEXT.VISITORS.cards"},
		{"consumer", "acknowledge for another's durable", sending, "$JS.ACK.VISITORS.cards.1.1.1.1.0"},
		{"consumer", "get an event", sending, "$JS.API.DIRECT.GET.VISITORS"},
		{"consumer", "get an event from the leader", sending, "$JS.API.STREAM.MSG.GET.VISITORS"},
		{"consumer", "delete its durable", sending, "$JS.API.CONSUMER.DELETE.VISITORS.badges"},
		{"consumer", "delete the stream", sending, "$JS.API.STREAM.DELETE.VISITORS"},
		{"consumer", "empty the stream", sending, "$JS.API.STREAM.PURGE.VISITORS"},
		{"consumer", "delete an event", sending, "$JS.API.STREAM.MSG.DELETE.VISITORS"},
		{"consumer", "publish an event", sending, "visitors.v1.event.hq.checked_in"},
		{"consumer", "hear events as they come", hearing, "visitors.v1.event.hq.>"},

		{"operator", "read events by a consumer", sending, "$JS.API.CONSUMER.CREATE.VISITORS.x"},
		{"operator", "get an event", sending, "$JS.API.DIRECT.GET.VISITORS"},
		{"operator", "hear events as they come", hearing, "visitors.v1.event.>"},
		{"operator", "delete an event", sending, "$JS.API.STREAM.MSG.DELETE.VISITORS"},
		{"operator", "delete a record", sending, "$JS.API.STREAM.MSG.DELETE.VISITOR_DECISIONS"},
		{"operator", "forge a record", sending, "visitors.v1.decision.hq.accepted"},
		{"operator", "empty the quarantine", sending, "$JS.API.STREAM.PURGE.VISITOR_QUARANTINE"},
		{"operator", "empty the orders", sending, "$JS.API.STREAM.PURGE.KV_VISITOR_ORDERS"},

		{"operator", "hear what the relay is told", hearing, "_INBOX_SINE_RELAY.>"},
		{"operator", "tell the relay anything", sending, "_INBOX_SINE_RELAY.x.y"},
		{"desk", "hear what the relay is told", hearing, "_INBOX_SINE_RELAY.>"},
		{"desk", "tell the relay anything", sending, "_INBOX_SINE_RELAY.x.y"},
		{"desk", "publish an event", sending, "visitors.v1.event.hq.checked_in"},
		{"desk", "forge a record", sending, "visitors.v1.decision.hq.accepted"},
		{"desk", "ask", sending, "visitors.v1.ask.hq.default"},
		{"desk", "read the quarantine", sending, "$JS.API.CONSUMER.CREATE.VISITOR_QUARANTINE.x"},
		{"desk", "delete an event", sending, "$JS.API.STREAM.MSG.DELETE.VISITORS"},
		{"consumer", "hear what the relay is told", hearing, "_INBOX_SINE_RELAY.>"},
		{"consumer", "tell the relay anything", sending, "_INBOX_SINE_RELAY.x.y"},

		{"admin", "hear what the relay is told", hearing, "_INBOX_SINE_RELAY.>"},
		{"admin", "tell the relay anything", sending, "_INBOX_SINE_RELAY.x.y"},
		{"admin", "publish an event", sending, "visitors.v1.event.hq.checked_in"},
		{"admin", "give an order", sending, "$KV.VISITOR_ORDERS.lockdown.all"},
		{"admin", "hear questions", hearing, "visitors.v1.ask.>"},
	} {
		t.Run(c.user+" may not "+c.name, func(t *testing.T) {
			nc := s.connect(c.user)
			if c.verb == hearing {
				s.hear(t, nc, c.subject)
			} else if err := nc.PublishRequest(c.subject, nc.NewInbox(), nil); err != nil {
				t.Fatal(err)
			}
			if err := nc.FlushTimeout(patience); err != nil {
				t.Fatal(err)
			}
			subject, _, _ := strings.Cut(c.subject, " ")
			if err := nc.LastError(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", subject)) {
				t.Errorf("it was let: %v", err)
			}
		})
	}
}

// hear subscribes to a subject, or to a subject and a queue group.
func (s *theatre) hear(t *testing.T, nc *nats.Conn, what string) {
	t.Helper()
	subject, queue, _ := strings.Cut(what, " ")
	if _, err := nc.QueueSubscribeSync(subject, queue); err != nil {
		t.Fatal(err)
	}
}

// NATS does not hold the reply subject of a request against permissions. Within
// the relay's account, the answer would be an order that cannot be read, and lock
// every door.
func TestAConsumersAnswersStayInItsAccount(t *testing.T) {
	t.Parallel()
	s := setStage(t, natsDir+"nats.conf")
	const info = "$JS.API.CONSUMER.INFO.VISITORS.badges"
	nc := s.connect("consumer")
	for _, target := range []string{"$KV.VISITOR_ORDERS.lockdown.all", "visitors.v1.event.hq.checked_in"} {
		if err := nc.PublishRequest(info, target, nil); err != nil {
			t.Fatal(err)
		}
	}
	// Behind those two on the same connection, and so answered after them.
	if _, err := nc.Request(info, nil, patience); err != nil {
		t.Fatal(err)
	}
	const order = "KV_VISITOR_ORDERS"
	if n := s.messages(t, order) + s.messages(t, visit.DefaultEventStream); n != 0 {
		t.Errorf("%d answers became messages", n)
	}
	within := s.connect("admin")
	if err := within.PublishRequest("$JS.API.STREAM.INFO."+order, "$KV.VISITOR_ORDERS.lockdown.all", nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the same within the account becomes an order", func() bool { return s.messages(t, order) == 1 })
}

// Before an administrator has made the streams, the relay says which to make.
func TestARelayThatMayMakeNoStreamsNamesThem(t *testing.T) {
	t.Parallel()
	bare := &theatre{Server: natstest.Start(t, configured(t, natsDir+"nats.conf", nil), func(o *server.Options) {
		o.Cluster, o.Routes = server.ClusterOpts{}, nil
	})}
	p := runServe(t, bare.settings("relay")...)
	for _, want := range []string{
		"nats stream add VISITORS ", "nats stream add VISITOR_DECISIONS ", "nats stream add VISITOR_QUARANTINE ",
		"bucket VISITOR_ORDERS: there is no such bucket", "an administrator makes it as deploy/nats/streams has it",
	} {
		eventually(t, want, func() bool {
			code, body := p.get("/readyz?verbose")
			return code == http.StatusServiceUnavailable && strings.Contains(body, want)
		})
	}
	makeStreams(t, bare.JetStream(asUser("admin")), 1)
	p.ready()
}
