package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// begin has the relay and a decider run, as users of the configuration.
func (s *deployment) begin(t *testing.T) *fixture {
	t.Helper()
	d := &fixture{aliases: writeAliases(t)}
	runDecider(t, s, d, "decider")
	d.relay = runServe(t, s.settings("relay")...).ready()
	return d
}

func TestPermissions_EveryUserCanDoItsWork(t *testing.T) {
	t.Parallel()
	s := startDeployment(t, natsDir+"nats.conf")
	fixture := s.begin(t)
	fixture.relay.must(200, "SUCCESS", visits[0])
	fixture.relay.must(200, "REJECTED", visits[1])
	fixture.relay.must(200, "eventId", visits[2])
	fixture.relay.must(200, "eventId", visits[3])
	fixture.relay.must(200, "REJECTED", visits[4])
	// One of a visitor who could not be understood.
	eventually(t, "three decisions are on record", func() bool { return s.messages(t, visit.DefaultDecisionStream) == 3 })
	if _, body := fixture.relay.get("/readyz?verbose"); strings.Contains(body, "wanted") || !strings.Contains(body, "orders: from bucket") {
		t.Errorf("readiness: %s", body)
	}
	eventually(t, "the decider is counted", func() bool {
		_, metrics := fixture.relay.get("/metrics")
		return strings.Contains(metrics, `sine_relay_deciders{decider="default",integration="default"} 1`)
	})

	consumer := runConsumer(t, s, fixture, "consumer")
	eventually(t, "events are received and acknowledged", func() bool { return strings.HasPrefix(consumer.said(), "2 received") && s.acknowledged(t, 2) })
	s.everyCommandWorks(t, fixture)
	s.aSpoolIsDrained(t)
	eventually(t, "the replayed events too", func() bool { return s.acknowledged(t, 5) })
	consumer.stop()
	if said := consumer.said(); said != "5 received\n" {
		t.Errorf("the consumer said: %s", said)
	}
	for _, line := range s.refused.lines() {
		t.Error(line)
	}
}

func (s *deployment) everyCommandWorks(t *testing.T, fixture *fixture) {
	t.Helper()
	environ := environment(append(s.settings("operator"), "KEYS="+testKey, "INTEGRATIONS_FILE="+fixture.aliases)...)
	reference := regexp.MustCompile(`"msg":"webhook","id":"(\w+)"`).FindStringSubmatch(fixture.relay.out.String())[1]
	want := map[string]string{
		"lockdown": "in force until it is lifted.*Obeyed by 1", "lockdown lift": "is lifted.*Obeyed by 1", "override": "in force until .*Obeyed by 1", "override lift": "is lifted.*Obeyed by 1",
		"orders": "There is no lockdown.*RELAY.*ready", "visits": "check_in_request +hq +\\w+ +accepted +decider default", "deciders": `default +hq +default +\w+ +1\.2\.3`, "ask": "SUCCESS", "explain": "all: default accepted",
		"quarantine ls": "2 messages|3 messages", "quarantine show": "would become checked_in of site hq", "quarantine replay": "2 stored|deleted here.*1 duplicates",
		"rederive": "[1-9] events read, 0 of them corrections.*0 corrections stored, 0 duplicates, 0 failed",
	}
	for _, words := range operatorsCommands(s.quarantined(t, fixture), "hq") {
		if words[0] == "explain" {
			words[1] = reference
		}
		name := words[0]
		if len(words) > 1 && want[name+" "+words[1]] != "" {
			name += " " + words[1]
		}
		must(t, environ, "(?s)"+want[name], words...)
	}
}

// aSpoolIsDrained by the relay's user, since it is the relay's work.
func (s *deployment) aSpoolIsDrained(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	away := runServe(t, "NATS_URL=nats://127.0.0.1:1", "SPOOL_DIR="+dir, "SITE=hq")
	away.must(200, "eventId", webhook("signin_after", noon, "Spooled"))
	away.end()
	must(t, environment(append(s.settings("relay"), "KEYS="+testKey)...), "1 message sent, 0 left", "spool", "drain", "--dir", dir)
}

func (s *deployment) messages(t *testing.T, stream string) uint64 {
	t.Helper()
	found, err := s.JetStream(asUser("admin")).Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return found.CachedInfo().State.Msgs
}

// acknowledged reports whether the durable has settled so many events.
func (s *deployment) acknowledged(t *testing.T, n uint64) bool {
	t.Helper()
	reply, err := s.Connect(asUser("admin")).Request("$JS.API.CONSUMER.INFO.VISITORS.badges", nil, patience)
	if err != nil {
		t.Fatal(err)
	}
	var info struct {
		AckFloor struct {
			Consumer uint64 `json:"consumer_seq"`
		} `json:"ack_floor"`
	}
	if err := json.Unmarshal(reply.Data, &info); err != nil {
		t.Fatal(err)
	}
	return info.AckFloor.Consumer == n
}

// One server has, beside each user, one for each of its permissions who lacks
// just that one.
func TestPermissions_EachIsNeededAndReportedWhenMissing(t *testing.T) {
	t.Parallel()
	all := permissions(t)
	s := startDeployment(t, writeConf(t, withLesserUsers(t, accounts(t), all)))
	fixture := s.begin(t)
	t.Run("relay", func(t *testing.T) { s.miss(t, fixture, "relay", all) })
	t.Run("at once", func(t *testing.T) {
		for _, user := range []string{"consumer", "operator", "desk", "admin"} {
			t.Run(user, func(t *testing.T) {
				t.Parallel()
				s.miss(t, fixture, user, all)
			})
		}
	})
	// Last, since those who cannot answer take requests from the one who can.
	t.Run("decider", func(t *testing.T) { s.miss(t, fixture, "decider", all) })
}

// miss runs a user's role once without each of its permissions, all at once.
func (s *deployment) miss(t *testing.T, fixture *fixture, user string, all []permission) {
	running := map[permission]*role{}
	for i, p := range all {
		if p.user == user {
			running[p] = roles[user](t, s, fixture, without(user, i))
		}
	}
	if len(running) == 0 {
		t.Fatal("no permission is listed")
	}
	lacksNothing := roles[user](t, s, fixture, user)
	for p, one := range running {
		t.Run(fmt.Sprintf("without %s %s", p.verb, p.subject), func(t *testing.T) {
			defer one.stop()
			defer func() {
				if t.Failed() {
					t.Logf("it said:\n%s", one.said())
				}
			}()
			lacksNothing.again()
			eventually(t, "something fails without it and says so", func() bool {
				one.again()
				return p.names(one.said())
			})
			if said := lacksNothing.said(); p.names(said) {
				t.Errorf("who has it said:\n%s", said)
			}
		})
	}
}

// What a user may not do, in so many words: a wildcard too many in the
// configuration would show here.
func TestPermissions_EverythingElseIsDenied(t *testing.T) {
	t.Parallel()
	s := startDeployment(t, natsDir+"nats.conf")
	const hearing, sending = "subscribe", "publish"
	for _, c := range []struct{ user, name, verb, subject string }{
		{"relay", "read events as they come", hearing, "visitors.v1.event.>"},
		{"relay", "hear requests", hearing, "visitors.v1.ask.hq.default"},
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

		{"decider", "hear another site's requests", hearing, "visitors.v1.ask.lab.default q"},
		{"decider", "hear another decider's requests", hearing, "visitors.v1.ask.hq.watchlist q"},
		{"decider", "hear its site's requests beside the one who answers", hearing, "visitors.v1.ask.hq.default"},
		{"decider", "hear all requests", hearing, "visitors.v1.ask.>"},
		{"decider", "hear events", hearing, "visitors.v1.event.hq.>"},
		{"decider", "hear others' answers", hearing, "_INBOX.>"},
		{"decider", "read the answers to the relay", hearing, "_INBOX_SINE_RELAY.>"},
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
		{"operator", "hear events as they come", hearing, "visitors.v1.event.>"},
		{"operator", "delete an event", sending, "$JS.API.STREAM.MSG.DELETE.VISITORS"},
		{"operator", "delete a record", sending, "$JS.API.STREAM.MSG.DELETE.VISITOR_DECISIONS"},
		{"operator", "forge a record", sending, "visitors.v1.decision.hq.accepted"},
		{"operator", "empty the quarantine", sending, "$JS.API.STREAM.PURGE.VISITOR_QUARANTINE"},
		{"operator", "empty the orders", sending, "$JS.API.STREAM.PURGE.KV_VISITOR_ORDERS"},

		{"operator", "read the answers to the relay", hearing, "_INBOX_SINE_RELAY.>"},
		{"operator", "answer the relay", sending, "_INBOX_SINE_RELAY.x.y"},
		{"desk", "read the answers to the relay", hearing, "_INBOX_SINE_RELAY.>"},
		{"desk", "answer the relay", sending, "_INBOX_SINE_RELAY.x.y"},
		{"desk", "publish an event", sending, "visitors.v1.event.hq.checked_in"},
		{"desk", "forge a record", sending, "visitors.v1.decision.hq.accepted"},
		{"desk", "ask", sending, "visitors.v1.ask.hq.default"},
		{"desk", "make its stream", sending, "$JS.API.STREAM.CREATE.VISITOR_DESK"},
		{"desk", "change its stream", sending, "$JS.API.STREAM.UPDATE.VISITOR_DESK"},
		{"desk", "delete its stream", sending, "$JS.API.STREAM.DELETE.VISITOR_DESK"},
		{"desk", "empty its stream", sending, "$JS.API.STREAM.PURGE.VISITOR_DESK"},
		{"desk", "delete what was done", sending, "$JS.API.STREAM.MSG.DELETE.VISITOR_DESK"},
		{"desk", "delete a stream", sending, "$JS.API.STREAM.DELETE.VISITORS"},
		{"desk", "delete what was not understood", sending, "$JS.API.STREAM.MSG.DELETE.VISITOR_QUARANTINE"},
		{"relay", "say what was done at the desk", sending, "visitors.v1.audit.hq.reveal"},
		{"operator", "say what was done at the desk", sending, "visitors.v1.audit.hq.reveal"},
		{"operator", "read what was done at the desk", sending, "$JS.API.DIRECT.GET.VISITOR_DESK"},
		{"decider", "say what was done at the desk", sending, "visitors.v1.audit.hq.reveal"},
		{"consumer", "say what was done at the desk", sending, "visitors.v1.audit.hq.reveal"},
		{"admin", "say what was done at the desk", sending, "visitors.v1.audit.hq.reveal"},
		{"desk", "read the quarantine", sending, "$JS.API.CONSUMER.CREATE.VISITOR_QUARANTINE.x"},
		{"desk", "delete an event", sending, "$JS.API.STREAM.MSG.DELETE.VISITORS"},
		{"consumer", "read the answers to the relay", hearing, "_INBOX_SINE_RELAY.>"},
		{"consumer", "answer the relay", sending, "_INBOX_SINE_RELAY.x.y"},

		{"admin", "read the answers to the relay", hearing, "_INBOX_SINE_RELAY.>"},
		{"admin", "answer the relay", sending, "_INBOX_SINE_RELAY.x.y"},
		{"admin", "publish an event", sending, "visitors.v1.event.hq.checked_in"},
		{"admin", "give an order", sending, "$KV.VISITOR_ORDERS.lockdown.all"},
		{"admin", "hear requests", hearing, "visitors.v1.ask.>"},
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
func (s *deployment) hear(t *testing.T, nc *nats.Conn, what string) {
	t.Helper()
	subject, queue, _ := strings.Cut(what, " ")
	if _, err := nc.QueueSubscribeSync(subject, queue); err != nil {
		t.Fatal(err)
	}
}

// NATS does not hold the reply subject of a request against permissions. Within
// the relay's account, the answer would be an order that cannot be read, and lock
// every site.
func TestPermissions_RepliesToAConsumerStayInItsAccount(t *testing.T) {
	t.Parallel()
	s := startDeployment(t, natsDir+"nats.conf")
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
func TestPermissions_RelayNamesTheStreamsItMayNotCreate(t *testing.T) {
	t.Parallel()
	bare := &deployment{Server: natstest.Start(t, configured(t, natsDir+"nats.conf", nil), func(o *server.Options) {
		o.Cluster, o.Routes = server.ClusterOpts{}, nil
	})}
	p := runServe(t, bare.settings("relay")...)
	for _, want := range []string{
		"nats stream add VISITORS ", "nats stream add VISITOR_DECISIONS ", "nats stream add VISITOR_QUARANTINE ",
		"bucket VISITOR_ORDERS: no such bucket", "an administrator must create it as in deploy/nats/streams",
	} {
		eventually(t, want, func() bool {
			code, body := p.get("/readyz?verbose")
			return code == http.StatusServiceUnavailable && strings.Contains(body, want)
		})
	}
	makeStreams(t, bare.JetStream(asUser("admin")), 1)
	p.ready()
}
