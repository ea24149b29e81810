package e2e

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

func fails(t *testing.T, environ []string, want string, args ...string) {
	t.Helper()
	code, out, errOut := commandLine(environ, args...)
	if code != exitFailed || !regexp.MustCompile(want).MatchString(out+errOut) {
		t.Errorf("%v ended with %d:\n%s%s\nwant %s", args, code, out, errOut, want)
	}
}

func TestOrders_CommandFailsIfNoRelayObeys(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	// An operator's machine has no integrations.
	environ := environment("NATS_URL=" + server.URL())
	fails(t, environ, "(?s)is in force.*no relay obeys it: none answered", "lockdown", "--site", "default", "--wait", "0s")
	must(t, environ, `(?s)0 of 0 relays.*No relay answered`, "orders")
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	p.must(200, "closed to visitors", webhook("signin_before", noon, "Ada")) // it was given all the same
	fails(t, environ, "nothing was ordered: no integration has site defualt.*sites are default", "lockdown", "--site", "defualt")
	fails(t, environ, "(?s)is in force.*no relay obeys it: 1 relay answered, and none has site defualt", "lockdown", "--site", "defualt", "--unknown-site", "--wait", "0s")
	fails(t, environ, "nothing was ordered: no override may last longer than SINE_RELAY_OVERRIDE_MAX_DURATION, 1d", "override", "--site", "default", "--accept", "--for", "876000h", "--reason", "x")
	must(t, environ, "(?s)is lifted.*Obeyed by 1 relay: ", "lockdown", "lift", "--site", "default")
	must(t, environ, `(?s)RELAY.*ready +known`, "orders")
	server.Stop()
	for _, args := range []string{"lockdown --site default", "override --site default --accept --for 1h --reason x", "lockdown lift --site default"} {
		fails(t, environ, "nothing was ordered", strings.Fields(args)...)
	}
}

// fakeRelay answers NATS discovery as if it were a relay, until the test ends.
func fakeRelay(t *testing.T, server *natstest.Server, answer func(*nats.Msg)) {
	t.Helper()
	nc := server.Connect()
	sub, err := nc.SubscribeSync("$SRV.STATS.sine-relay")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			m, err := sub.NextMsgWithContext(t.Context())
			if err != nil {
				return
			}
			answer(m)
		}
	}()
}

// One that hangs is named, and the order is not said to be obeyed.
func TestOrders_RelayThatDoesNotObeyIsNamed(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	environ := environment("NATS_URL=" + server.URL())
	runServe(t, "NATS_URL="+server.URL()).ready()
	// It answers to the name of a relay, and obeys nobody.
	fakeRelay(t, server, func(m *nats.Msg) {
		m.Respond([]byte(`{"name":"sine-relay","id":"STUCK","version":"1","endpoints":[{"name":"status","data":{"state":"degraded","sites":["default"],"siteCount":1}}]}`))
	})
	fails(t, environ, `(?s)Obeyed by 1 relay: .*Not obeyed by 1 relay: STUCK \(degraded, orders never read\).*not every relay obeys`, "lockdown", "--site", "default", "--wait", "300ms")
	must(t, environ, `1 of 2 relays`, "orders")
}

func TestOrders_SurviveTheLossOfTheBucket(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	environ := environment("NATS_URL=" + server.URL())
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	must(t, environ, "Obeyed by 1", "lockdown", "--site", "default", "--message", "Gas leak")
	p.must(200, "Gas leak", webhook("signin_before", noon, "Ada"))
	eventually(t, "the decision is on record", func() bool {
		stream, err := server.JetStream().Stream(t.Context(), visit.DefaultDecisionStream)
		return err == nil && stream.CachedInfo().State.Msgs > 0
	})
	js := server.JetStream()
	if err := js.DeleteKeyValue(t.Context(), visit.DefaultOrderBucket); err != nil {
		t.Fatal(err)
	}
	// A pod that starts now does not take that for no orders.
	fresh := runServe(t, "NATS_URL="+server.URL())
	eventually(t, "it says so", func() bool {
		_, body := fresh.get("/readyz?verbose")
		return strings.HasPrefix(body, "starting: waiting for the standing orders: ") && strings.Contains(body, "was deleted")
	})
	if _, metrics := fresh.get("/metrics"); !strings.Contains(metrics, "\nsine_relay_standing_orders_known 0\n") {
		t.Error("the orders are said to be known")
	}
	p.must(200, "Gas leak", webhook("signin_before", noon, "Ada"))
	fails(t, environ, `(?s)lockdown  default  not stored .* 1 of 2 relays .*Relays obey orders that NATS does not store.*no order was ever given, or it was deleted`, "orders")
	if _, err := js.KeyValue(t.Context(), visit.DefaultOrderBucket); err == nil {
		t.Error("a look at the orders made the bucket again, empty")
	}
	must(t, environ, "(?s)is lifted: the bucket had lost it.*Obeyed by 2", "lockdown", "lift", "--site", "default")
	p.must(200, "REJECTED", webhook("signin_before", noon, "Ada"))
	fresh.ready()
}

func TestOrders_DeletionWithoutTheCommandIsReported(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	environ := environment("NATS_URL=" + server.URL())
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	must(t, environ, "Obeyed by 1", "lockdown", "--site", "default", "--message", "Gas leak")
	kv, err := server.JetStream().KeyValue(t.Context(), visit.DefaultOrderBucket)
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(t.Context(), "lockdown.site.default"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is reported", func() bool {
		_, metrics := p.get("/metrics")
		_, body := p.get("/readyz?verbose")
		return strings.Contains(metrics, `sine_relay_standing_order_entries{state="deleted"} 1`) && strings.Contains(body, "it was deleted, which lifts no order") &&
			strings.Contains(p.out.String(), "it was deleted, which lifts no order")
	})
	p.must(200, "Gas leak", webhook("signin_before", noon, "Ada"))
}

// Orders of sites that no integration has make no series.
func TestOrders_OnlyConfiguredSitesAreMetricLabels(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	environ := environment("NATS_URL=" + server.URL())
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	fails(t, environ, "none has site elsewhere", "lockdown", "--site", "elsewhere", "--unknown-site", "--wait", "0s")
	must(t, environ, "Obeyed by 1", "lockdown", "--site", "default")
	eventually(t, "the other one is counted", func() bool {
		p.get("/readyz")
		_, metrics := p.get("/metrics")
		return strings.Contains(metrics, `sine_relay_standing_order_entries{state="foreign"} 1`)
	})
	if _, metrics := p.get("/metrics"); strings.Contains(metrics, `site="elsewhere"`) || strings.Count(metrics, "\nsine_relay_standing_order_in_force{") != 1 {
		t.Error("a site that no integration has is a label")
	}
}

// Cut off from NATS, what is known grows old, and then no fallback lets anybody in.
func TestOrders_ExpiredOnesStopFallbacksFromAccepting(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	file := filepath.Join(t.TempDir(), "integrations.yaml")
	if err := os.WriteFile(file, []byte("defaults: {fallbacks: {disconnected: {decision: accept}, no_decider: {decision: accept}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := runServe(t, "NATS_URL="+server.URL(), "INTEGRATIONS_FILE="+file, "ORDERS_MAX_AGE=5s").ready()
	p.must(200, "SUCCESS", webhook("signin_before", noon, "Ada"))
	server.Stop()
	eventually(t, "nobody is let in", func() bool {
		_, body, err := p.post(webhook("signin_before", noon, "Ada"))
		return err == nil && strings.Contains(body, "REJECTED")
	})
	if _, body := p.get("/readyz?verbose"); !strings.Contains(body, "orders: unknown: last read ") {
		t.Errorf("readiness:\n%s", body)
	}
	if _, metrics := p.get("/metrics"); !strings.Contains(metrics, "\nsine_relay_standing_orders_known 0\n") {
		t.Error("the orders are said to be known")
	}
}

// far is a NATS with a latency, by a proxy that delays what it passes on.
func far(t *testing.T, server *natstest.Server, latency time.Duration) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial("tcp", strings.TrimPrefix(server.URL(), "nats://"))
			if err != nil {
				near.Close()
				return
			}
			go delayed(near, there, latency/2)
			go delayed(there, near, latency/2)
		}
	}()
	return "nats://" + l.Addr().String()
}

// delayed passes on what it reads, each piece after the same time.
func delayed(from, to net.Conn, by time.Duration) {
	type piece struct {
		data []byte
		due  time.Time
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer to.Close()
		for p := range pieces {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.data); err != nil {
				from.Close()
			}
		}
	}()
	defer close(pieces)
	for {
		data := make([]byte, 64<<10)
		n, err := from.Read(data)
		if n > 0 {
			pieces <- piece{data[:n], time.Now().Add(by)}
		}
		if err != nil {
			return
		}
	}
}

// During a lockdown nobody gets in before the orders are known, however far NATS is.
func TestOrders_LockdownHoldsDuringASlowStart(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	environ := environment("NATS_URL=" + server.URL())
	runServe(t, "NATS_URL="+server.URL()).ready()
	must(t, environ, "Obeyed by 1", "lockdown", "--site", "default", "--message", "Gas leak")
	file := filepath.Join(t.TempDir(), "integrations.yaml")
	accept := "defaults: {fallbacks: {disconnected: {decision: accept}, no_decider: {decision: accept}, timeout: {decision: accept}, denied: {decision: accept}}}\n"
	if err := os.WriteFile(file, []byte(accept), 0o600); err != nil {
		t.Fatal(err)
	}
	p := runServe(t, "NATS_URL="+far(t, server, 150*time.Millisecond), "INTEGRATIONS_FILE="+file)
	unready := 0
	for {
		code, _ := p.get("/readyz")
		p.must(200, "REJECTED", webhook("signin_before", noon, "Ada"))
		if code == 200 {
			break
		}
		unready++
	}
	if unready == 0 {
		t.Error("it was ready before it can have known the orders")
	}
	p.must(200, "Gas leak", webhook("signin_before", noon, "Ada"))
}

// A bucket with a TTL would lose lockdowns in silence.
func TestOrders_BucketWithATTLKeepsTheRelayUnready(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	if _, err := server.JetStream().CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: visit.DefaultOrderBucket, TTL: time.Hour, History: 10}); err != nil {
		t.Fatal(err)
	}
	p := runServe(t, "NATS_URL="+server.URL())
	eventually(t, "it names the bucket", func() bool {
		_, body := p.get("/readyz")
		return strings.HasPrefix(body, "starting: lockdowns and overrides: the bucket is unusable for standing orders: stream KV_VISITOR_ORDERS: max_age is 1h0m0s")
	})
	if _, metrics := p.get("/metrics"); !strings.Contains(metrics, `sine_relay_stream_usable{stream="KV_VISITOR_ORDERS"} 0`) {
		t.Error("the metric does not say so")
	}
}

// An order in the place of another one names it: somebody else may have given it.
func TestOrder_NamesTheOneThatItReplaces(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	runServe(t, "NATS_URL="+server.URL()).ready()
	environ := environment("NATS_URL=" + server.URL())
	first := must(t, environ, `in force until it is lifted`, "lockdown", "--site", "default", "--by", "ann", "--reason", "gas", "--message", "Please leave.")
	if strings.Contains(first, "replaces") {
		t.Errorf("the first one replaces something: %s", first)
	}
	other := must(t, environ, `in force until it is lifted`, "lockdown", "--all-sites", "--by", "cid")
	if strings.Contains(other, "replaces") {
		t.Errorf("one of all sites replaces that of a site: %s", other)
	}
	must(t, environ, `It replaces the lockdown of site default that ann gave at \S+, until it is lifted, reason "gas", message "Please leave\."\.\n`,
		"lockdown", "--site", "default", "--by", "bob", "--for", "1h")
	must(t, environ, `It replaces the lockdown of site default that bob gave at \S+, until \S+\.\n`, "lockdown", "--site", "default")
	must(t, environ, "is lifted", "lockdown", "lift", "--site", "default")
	again := must(t, environ, `in force`, "lockdown", "--site", "default")
	if strings.Contains(again, "replaces") {
		t.Errorf("it replaces what was lifted: %s", again)
	}
}
