package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// attacker uses a user's rights with a program of its own.
type attacker struct {
	t  *testing.T
	s  *deployment
	nc *nats.Conn
}

// send makes a request whose answer goes where the attacker wants it.
func (a attacker) send(subject, reply, body string) {
	a.t.Helper()
	if err := a.nc.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: []byte(body)}); err != nil {
		a.t.Fatal(err)
	}
	if err := a.nc.Flush(); err != nil {
		a.t.Fatal(err)
	}
}

// consumer makes one on the bucket, and returns its name.
func (a attacker) consumer(subject, filter string) string {
	a.t.Helper()
	name := "attack" + visit.NewRequestID()
	body, err := json.Marshal(map[string]any{
		"stream_name": "KV_VISITOR_ORDERS",
		"config":      jetstream.ConsumerConfig{Name: name, FilterSubject: filter, AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: time.Minute},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	// The answer is not needed, and the attacker may not hear it.
	a.send(fmt.Sprintf(subject, name), "attack.answer", string(body))
	eventually(a.t, "the consumer is there", func() bool {
		_, err := a.s.JetStream(asUser("admin")).Consumer(a.t.Context(), "KV_VISITOR_ORDERS", name)
		return err == nil
	})
	return name
}

func (a attacker) pull(consumer, reply string) {
	a.send("$JS.API.CONSUMER.MSG.NEXT.KV_VISITOR_ORDERS."+consumer, reply, "1")
}

// last is the newest number of a stream.
func (a attacker) last(stream string) uint64 {
	a.t.Helper()
	found, err := a.s.JetStream(asUser("admin")).Stream(a.t.Context(), stream)
	if err != nil {
		a.t.Fatal(err)
	}
	return found.CachedInfo().State.LastSeq
}

// adds waits until something that the attacker does is in a stream.
func (a attacker) adds(stream string, do func()) uint64 {
	a.t.Helper()
	before := a.last(stream)
	do()
	eventually(a.t, "it is in "+stream, func() bool { return a.last(stream) > before })
	return a.last(stream)
}

const orderKeys = "$KV.VISITOR_ORDERS."

// withoutOverrides are the shipped accounts, with the operator's line for overrides
// taken away.
func withoutOverrides(t *testing.T) string {
	t.Helper()
	text := strings.Replace(accounts(t), `            "$KV.VISITOR_ORDERS.override.>"         # override`+"\n", "", 1)
	if text == accounts(t) {
		t.Fatal("the operator has no line for overrides")
	}
	return text
}

func TestAttack_AnOperatorWithoutTheRightDoesNotOverride(t *testing.T) {
	t.Parallel()
	s := startDeployment(t, writeConf(t, withoutOverrides(t)))
	p := runServe(t, s.settings("relay")...).ready()
	p.must(200, "REJECTED", visits[0])
	a := attacker{t, s, s.connect("operator")}
	now := time.Now().UTC()
	order, err := json.Marshal(visit.Order{Kind: visit.OrderOverride, Site: "hq", Reason: "let me in", ID: "X", Since: now, Until: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	a.adds("KV_VISITOR_ORDERS", func() { a.send(orderKeys+"lockdown.site.hq", "", string(order)) })
	consumer := a.consumer("$JS.API.CONSUMER.CREATE.KV_VISITOR_ORDERS.%s."+orderKeys+"lockdown.site.hq", orderKeys+"lockdown.site.hq")
	// An operator's account is a subject space of its own: there, answers go nowhere.
	before := [2]uint64{a.last("VISITOR_QUARANTINE"), a.last("KV_VISITOR_ORDERS")}
	for _, reply := range []string{"visitors.v1.quarantine.hq", orderKeys + "override.site.hq", orderKeys + "lockdown.all"} {
		a.pull(consumer, reply)
		a.send("$JS.API.DIRECT.GET.VISITOR_QUARANTINE", reply, `{"seq":1}`)
		a.send("$JS.API.STREAM.INFO.VISITOR_QUARANTINE", reply, "")
		a.send("$SRV.STATS.sine-relay", reply, "")
	}
	if _, err := a.nc.Request("$SRV.STATS.sine-relay", nil, patience); err != nil { // after those
		t.Fatal(err)
	}
	if after := [2]uint64{a.last("VISITOR_QUARANTINE"), a.last("KV_VISITOR_ORDERS")}; after != before {
		t.Errorf("an operator's answers got into streams: %d, %d before", after, before)
	}
	// In one account with the streams, as where everybody has one, they do; and
	// the relay takes neither for an order. Only the right to JetStream's API is
	// used.
	a.nc = s.connect("admin")
	consumer = a.consumer("$JS.API.CONSUMER.CREATE.KV_VISITOR_ORDERS.%s", orderKeys+"lockdown.site.hq")
	number := a.adds("VISITOR_QUARANTINE", func() { a.pull(consumer, "visitors.v1.quarantine.hq") })
	a.adds("KV_VISITOR_ORDERS", func() {
		a.send("$JS.API.DIRECT.GET.VISITOR_QUARANTINE", orderKeys+"override.site.hq", fmt.Sprintf(`{"seq":%d}`, number))
	})
	eventually(t, "the relay reports both entries", func() bool {
		_, metrics := p.get("/metrics")
		return strings.Contains(metrics, `sine_relay_standing_order_entries{state="invalid"} 2`)
	})
	p.must(200, "REJECTED", visits[0])
	_, body := p.get("/readyz?verbose")
	if strings.Contains(body, "in force") || !strings.Contains(body, "as a copy of another message has") || !strings.Contains(body, "belongs under the key override.site.hq") {
		t.Errorf("readiness:\n%s", body)
	}
	if strings.Contains(body, "let me in") {
		t.Error("an entry's text got out")
	}
	// A fresh relay reads the same.
	runServe(t, s.settings("relay")...).ready().must(200, "REJECTED", visits[0])
}

func TestAttack_TheRelaysOwnRightsNeitherLiftNorRevive(t *testing.T) {
	t.Parallel()
	s := startDeployment(t, natsDir+"nats.conf")
	p := runServe(t, s.settings("relay")...).ready()
	operator := environment(append(s.settings("operator"), "KEYS="+testKey)...)
	// A lockdown that was lifted and given again, and an override that was lifted.
	must(t, operator, "Obeyed by 1", "lockdown", "--site", "hq", "--message", "Gas leak")
	must(t, operator, "Obeyed by 1", "lockdown", "lift", "--site", "hq")
	must(t, operator, "Obeyed by 1", "lockdown", "--site", "hq", "--message", "Gas leak again")
	must(t, operator, "Obeyed by 1", "override", "--site", "hq", "--accept", "--for", "1h", "--reason", "x")
	must(t, operator, "Obeyed by 1", "override", "lift", "--site", "hq")
	p.must(200, "Gas leak again", visits[0])

	a := attacker{t, s, s.connect("relay")}
	replay := func(key string) {
		t.Helper()
		consumer := a.consumer("$JS.API.CONSUMER.CREATE.KV_VISITOR_ORDERS.%s", orderKeys+key)
		a.adds("KV_VISITOR_ORDERS", func() { a.pull(consumer, orderKeys+key) })
	}
	replay("lockdown.site.hq")
	replay("override.site.hq")
	for _, key := range []string{"lockdown.all", "override.site.hq", "lockdown.site.hq"} {
		a.adds("KV_VISITOR_ORDERS", func() { a.send("$JS.API.STREAM.INFO.VISITORS", orderKeys+key, "") })
	}
	eventually(t, "the relay reports what it read", func() bool {
		_, metrics := p.get("/metrics")
		return strings.Contains(metrics, "sine_relay_standing_order_entries{state=\"invalid\"} ") && !strings.Contains(metrics, `sine_relay_standing_order_entries{state="invalid"} 0`)
	})
	p.must(200, "Gas leak again", visits[0])
	must(t, operator, "Obeyed by 1", "lockdown", "lift", "--site", "hq")
	p.must(200, "REJECTED", visits[0]) // nobody decides, and no override is in force
	if _, body := p.get("/readyz?verbose"); strings.Contains(body, "override of site hq in force") {
		t.Errorf("a lifted override is in force again:\n%s", body)
	}
}

// What was replayed long after it was given is too old, whoever reads it first.
func TestAttack_OldEntriesCountForNothingWhoeverReadsThem(t *testing.T) {
	t.Parallel()
	s := startDeployment(t, natsDir+"nats.conf")
	past := time.Now().Add(-time.Minute).UTC()
	order, err := json.Marshal(visit.Order{Kind: visit.OrderOverride, Site: "hq", Reason: "x", ID: "OLD", Since: past, Until: past.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	// As a pull delivers it: without a header.
	if err := s.connect("operator").Publish(orderKeys+"override.site.hq", order); err != nil {
		t.Fatal(err)
	}
	p := runServe(t, s.settings("relay")...).ready()
	eventually(t, "it is reported", func() bool {
		_, body := p.get("/readyz?verbose")
		return strings.Contains(body, "as in a copy of an old order")
	})
	p.must(200, "REJECTED", visits[0])
}

// Whoever answers as a relay without end must not keep a lockdown from being given.
func TestOrders_EndlessStatusRepliesDoNotDelayALockdown(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	environ := environment("NATS_URL=" + server.URL())
	runServe(t, "NATS_URL="+server.URL()).ready()
	fakeRelay(t, server, func(m *nats.Msg) { go drip(t, m.Respond) })
	must(t, environ, `(?s)of site default is in force.*Obeyed by [0-9]+ relays?: `, "lockdown", "--site", "default", "--wait", "1m")
	must(t, environ, `(?s)of site default is lifted.*Obeyed by [0-9]+ relays?: `, "lockdown", "lift", "--site", "default", "--wait", "1m")
}

// drip answers as one relay more, again and again, before silence ends the look.
func drip(t *testing.T, respond func([]byte) error) {
	for n := 0; t.Context().Err() == nil; n++ {
		if respond(fmt.Appendf(nil, `{"name":"sine-relay","id":"LIAR%d","version":"1","endpoints":[{"name":"status","data":{"state":"ready","sites":["elsewhere"],"siteCount":1}}]}`, n)) != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// A relay that would not hear of a lockdown must not look well.
func TestOrders_RelayThatCannotReadThemIsNotReady(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, natstest.WithUser("relay", "Zsecret"), func(o *server.Options) {
		o.Users[0].Permissions = &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"$JS.API.CONSUMER.>"}}}
	})
	settings := []string{"NATS_URL=" + s.URL(), "NATS_USER=relay", "NATS_PASSWORD=Zsecret"}
	p := runServe(t, settings...)
	eventually(t, "it is not ready and says why", func() bool {
		_, body := p.get("/readyz")
		return strings.HasPrefix(body, "starting: lockdowns and overrides: ") && strings.Contains(body, "$JS.API.CONSUMER.")
	})
	code, out, _ := commandLine(environment(append(settings, "KEYS="+testKey)...), "verify", "--settling", "0s",
		"--public", strings.TrimSuffix(p.webhook, "/sine/default"), "--admin", p.admin)
	if code != exitFailed || !strings.Contains(out, "not ok   readiness") {
		t.Errorf("verify ended with %d:\n%s", code, out)
	}
}

// Records of decisions must not take the visitors' places in the spool.
func TestRecords_FullDecisionStreamDoesNotFillTheSpool(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	p := runServe(t, "NATS_URL="+s.URL(), "SPOOL_DIR="+t.TempDir(), "DECISION_STREAM_MAX_BYTES=64KiB").ready()
	shows := func(series string) bool {
		_, metrics := p.get("/metrics")
		return strings.Contains(metrics, "\n"+series)
	}
	for n := 0; !shows(`sine_relay_decision_records_total{result="failed"} 1`); n++ {
		if n > 1000 {
			t.Fatal("the stream does not fill up")
		}
		p.must(200, "REJECTED", webhook("signin_before", noon, fmt.Sprint("Ada ", n)))
	}
	if !shows("sine_relay_spool_messages 0\n") {
		t.Error("records wait in the spool, which their stream does not take")
	}
	s.Stop()
	p.must(200, "eventId", webhook("signin_after", noon, "Ada"))
}
