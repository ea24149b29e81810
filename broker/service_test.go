package broker_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// announced is a relay that is to be seen in discovery.
func announced(t *testing.T, s *natstest.Server, sites ...string) *broker.Broker {
	t.Helper()
	b := ready(t, s, func(c *broker.Config) { c.OrderSites = sites })
	eventually(t, "the orders are known", func() bool { _, known := b.OrdersAt("hq"); return known })
	err := b.Announce(broker.Announcement{
		Version: "1.2.3", State: func() string { return "ready" }, Sites: func() []string { return sites },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func book(t *testing.T, s *natstest.Server) *admin.Book {
	t.Helper()
	b, err := admin.OpenBook(within(t, patience), admin.Config{NATS: dial.Config{Servers: []string{s.URL()}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestAnnounce_MakesTheRelayAMicroService(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	announced(t, s, "hq")
	announced(t, s, "branch")
	b := book(t, s)
	given, err := b.Put(within(t, patience), visit.Order{Kind: visit.OrderLockdown, Site: "hq", Message: "Zmark", Reason: "Zmark", By: "Zmark"})
	if err != nil {
		t.Fatal(err)
	}
	nc := s.Connect()
	// What the nats tool asks.
	for _, c := range []struct{ subject, kind string }{
		{"$SRV.PING", micro.PingResponseType}, {"$SRV.PING.sine-relay", micro.PingResponseType},
		{"$SRV.INFO", micro.InfoResponseType}, {"$SRV.STATS.sine-relay", micro.StatsResponseType},
	} {
		m, err := nc.Request(c.subject, nil, patience)
		var said struct{ Type, Name, ID, Version string }
		if err != nil || json.Unmarshal(m.Data, &said) != nil || said.Type != c.kind || said.Name != "sine-relay" || said.ID == "" || said.Version != "1.2.3" {
			t.Errorf("%s: %v %+v", c.subject, err, said)
			continue
		}
		one, err := nc.Request("$SRV.STATS.sine-relay."+said.ID, nil, patience)
		if err != nil || !strings.Contains(string(one.Data), said.ID) {
			t.Errorf("the one is asked: %v", err)
		}
		if strings.Contains(string(one.Data), "Zmark") {
			t.Errorf("an order's text got out: %s", one.Data)
		}
	}
	eventually(t, "the one that has the site obeys", func() bool {
		relays, err := b.Relays(within(t, patience))
		obey := 0
		for _, r := range relays {
			for _, o := range r.Orders {
				if o.ID == given.ID && len(r.Sites) == 1 && r.Sites[0] == "hq" && r.OrdersKnown && r.OrdersRevision == 1 {
					obey++
				}
			}
		}
		return err == nil && len(relays) == 2 && obey == 1
	})
}

// An answer goes wherever the question names: not among the orders, the events or
// the answers to the relay.
func TestAnnounce_StatusIsNotSentToStreamsOrInboxes(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	announced(t, s, "hq")
	nc := s.Connect()
	js := s.JetStream()
	all := func() (n uint64) {
		for _, name := range []string{"KV_VISITOR_ORDERS", "VISITORS", "VISITOR_DECISIONS", "VISITOR_QUARANTINE"} {
			stream, err := js.Stream(within(t, patience), name)
			if err != nil {
				t.Fatal(err)
			}
			n += stream.CachedInfo().State.LastSeq
		}
		return n
	}
	eventually(t, "the service answers", func() bool {
		_, err := nc.Request("$SRV.STATS.sine-relay", nil, patience)
		return err == nil
	})
	before := all()
	for _, reply := range []string{
		"$KV.VISITOR_ORDERS.lockdown.all", "visitors.v1.event.hq.checked_in", "visitors.v1.quarantine.hq",
		"visitors.v1.ask.hq.default", "_INBOX_SINE_RELAY.x", "$JS.API.STREAM.DELETE.VISITORS",
	} {
		for range 5 {
			if err := nc.PublishRequest("$SRV.STATS.sine-relay", reply, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := nc.Request("$SRV.STATS.sine-relay", nil, patience); err != nil { // after those
		t.Fatal(err)
	}
	if after := all(); after != before {
		t.Errorf("%d messages were stored", after-before)
	}
}

// A flood is answered in part, and the door does not wait behind it.
func TestAnnounce_FloodOfDiscoveryDoesNotDelayEvents(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := announced(t, s, "hq")
	nc := s.Connect()
	inbox, err := nc.SubscribeSync("flood.answers")
	if err != nil {
		t.Fatal(err)
	}
	for range 20000 {
		if err := nc.PublishRequest("$SRV.STATS.sine-relay", "flood.answers", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(within(t, patience), visit.Message{Subject: "visitors.v1.event.hq.checked_in", Root: visit.RootEvent}); err != nil {
		t.Error(err)
	}
	eventually(t, "it answers again", func() bool {
		_, err := nc.Request("$SRV.PING.sine-relay", nil, time.Second)
		return err == nil
	})
	answers, _, err := inbox.Pending()
	if err != nil || answers == 0 || answers > 5000 {
		t.Errorf("%d answers, %v", answers, err)
	}
}

func TestOrders_UserIsTheOneThatNATSKnows(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, natstest.WithUser("operator", "Zsecret"))
	b, err := admin.OpenBook(within(t, patience), admin.Config{
		NATS: dial.Config{Servers: []string{s.URL()}, Auth: dial.Auth{User: "operator", Password: func() string { return "Zsecret" }}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if user, account, err := b.User(within(t, patience)); err != nil || user != "operator" || account != "$G" {
		t.Errorf("%q %q %v", user, account, err)
	}
}

// Once something was stored, a bucket that is not there was deleted.
func TestOrders_MissingBucketBesideUsedStreamsWasDeleted(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	first := ready(t, s)
	eventually(t, "the orders are known", func() bool { _, known := first.OrdersAt("hq"); return known })
	if _, err := first.Publish(within(t, patience), visit.Message{Subject: "visitors.v1.event.hq.checked_in", Root: visit.RootEvent}); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	if err := s.JetStream().DeleteKeyValue(within(t, patience), visit.DefaultOrderBucket); err != nil {
		t.Fatal(err)
	}
	second := ready(t, s)
	eventually(t, "it says that the bucket was deleted", func() bool {
		return strings.Contains(strings.Join(second.Status().Orders, "\n"), "was deleted")
	})
	if _, known := second.OrdersAt("hq"); known || second.Status().OrdersRead {
		t.Error("it takes an absent bucket for no orders")
	}
	book(t, s) // makes it again
	eventually(t, "the orders are known", func() bool { _, known := second.OrdersAt("hq"); return known })
}

// An unfit bucket is a fault as an unfit stream is.
func TestOrders_UnfitBucketIsReported(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	_, err := s.JetStream().CreateKeyValue(within(t, patience), jetstream.KeyValueConfig{Bucket: visit.DefaultOrderBucket, TTL: time.Hour, History: 10})
	if err != nil {
		t.Fatal(err)
	}
	b := connectTo(t, s)
	eventually(t, "the fault names it", func() bool {
		fault := b.Status().Fault
		return fault != nil && strings.Contains(fault.Error(), "KV_VISITOR_ORDERS") && strings.Contains(fault.Error(), "max_age is 1h0m0s")
	})
	if _, known := b.OrdersAt("hq"); known {
		t.Error("orders that may go away by themselves are taken for known")
	}
}

// The nats command leaves out what has no semantic version.
func TestAnnounce_VersionIsAlwaysSemantic(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"1.2.3": "1.2.3", "1.2.3-rc.1+linux": "1.2.3-rc.1+linux", "dev": "0.0.0-dev", "a build, of (mine)": "0.0.0-a-build-of-mine", "": "0.0.0-unknown",
	} {
		s := natstest.Start(t)
		err := ready(t, s).Announce(broker.Announcement{Version: version, State: func() string { return "ready" }, Sites: func() []string { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		nc := s.Connect()
		var said struct{ Version string }
		eventually(t, "the relay says its version", func() bool {
			m, err := nc.Request("$SRV.INFO", nil, patience)
			return err == nil && json.Unmarshal(m.Data, &said) == nil
		})
		if said.Version != want {
			t.Errorf("%q is shown as %q, want %q", version, said.Version, want)
		}
	}
}

// A reply that is too large would not be looked at, and the relay not be seen at all.
func TestAnnounce_AThousandIntegrationsFitIntoAReply(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	typical := func(i int) visit.RelayIntegration {
		return visit.RelayIntegration{
			Name: fmt.Sprintf("site-%04d-lobby", i), DisplayName: fmt.Sprintf("Site %d, main lobby", i), Site: fmt.Sprintf("site-%04d", i),
			TimeZone: "Australia/Adelaide", Deciders: []string{"default"}, LastReceived: time.Now().UTC(),
		}
	}
	long := func(i int) visit.RelayIntegration {
		one := typical(i)
		one.Deciders = slices.Repeat([]string{strings.Repeat("d", 64)}, 10)
		return one
	}
	var told atomic.Pointer[[]visit.RelayIntegration]
	told.Store(&[]visit.RelayIntegration{})
	err := b.Announce(broker.Announcement{
		Version: "1.2.3", State: func() string { return "ready" },
		Sites: func() (sites []string) {
			for _, i := range *told.Load() {
				sites = append(sites, i.Site)
			}
			return sites
		},
		Integrations: func() []visit.RelayIntegration { return *told.Load() },
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		each  func(int) visit.RelayIntegration
		whole bool
	}{"of the usual size": {typical, true}, "with ten long deciders each": {long, false}} {
		all := []visit.RelayIntegration{}
		for i := range visit.MaxRelaySites {
			all = append(all, c.each(i))
		}
		told.Store(&all)
		var found []visit.Relay
		eventually(t, "the relay says so "+name, func() bool {
			found, err = admin.FindRelays(within(t, patience), admin.Config{NATS: dial.Config{Servers: []string{s.URL()}}})
			return err == nil && len(found) == 1 && len(found[0].Integrations) > 0 && len(found[0].Integrations[0].Deciders) == len(all[0].Deciders)
		})
		r := found[0]
		size, _ := json.Marshal(r)
		t.Logf("%s: %d of %d integrations in %d bytes", name, len(r.Integrations), r.IntegrationCount, len(size))
		if r.IntegrationCount != len(all) || (len(r.Integrations) == len(all)) != c.whole || len(r.Integrations) < 100 || r.Integrations[99].Name != all[99].Name {
			t.Errorf("%s: %d of %d integrations", name, len(r.Integrations), r.IntegrationCount)
		}
	}
}
