package broker_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/outbox/spool"
	"github.com/sine-relay/sine-relay/visit"
)

// happened is an event of an integration as the relay publishes it; key is what
// Sine calls the visit, or empty.
func happened(t *testing.T, integration, site, key, id string) visit.Message {
	t.Helper()
	e := visit.Event{ID: id, Kind: visit.KindCheckedIn, Origin: visit.Origin{
		RequestID: id, Site: site, Integration: integration, Time: time.Unix(1, 0), Received: time.Unix(1, 0), Visit: visit.NewVisitKey(key),
	}, Source: visit.Source(`{"event":"signin_after"}`)}
	m, err := e.Message(visit.Subjects{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// unreadable is a body of an integration that could not be understood.
func unreadable(integration, id string, bytes int) visit.Message {
	q := visit.Quarantined{
		RequestID: id, Site: "hq", Integration: integration, Reason: visit.ReasonNotJSON,
		Received: time.Unix(1, 0), Body: []byte(strings.Repeat("x", bytes)),
	}
	return q.Message(visit.Subjects{})
}

// fillQuarantine makes the quarantine's stream take nothing more.
func fillQuarantine(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	bound(t, js, "VISITOR_QUARANTINE", func(c *jetstream.StreamConfig) { c.MaxBytes = 1000 })
	m := unreadable("filler", "filler", 700)
	if _, err := js.Publish(within(t, patience), m.Subject, m.Data); err != nil {
		t.Fatal(err)
	}
}

func purge(t *testing.T, js jetstream.JetStream, name string) {
	t.Helper()
	stream, err := js.Stream(within(t, patience), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(within(t, patience)); err != nil {
		t.Fatal(err)
	}
}

func impaired(b *broker.Broker) string {
	if err := b.Status().Impaired; err != nil {
		return err.Error()
	}
	return ""
}

func TestQuarantine_WhenFullDoesNotHoldBackEvents(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	buffer := openSpool(t, t.TempDir(), 1<<20)
	b, js := ready(t, s, with(buffer, nil)), s.JetStream()
	fillQuarantine(t, js)
	mustSpool(t, b, unreadable("lobby", "q", 500))
	direct := 0
	for i := range 10 {
		receipt, err := b.Publish(within(t, patience), happened(t, "lobby", "hq", "", fmt.Sprint(i)))
		if err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		if !receipt.Spooled { // as it is where a busy machine stores slowly
			direct++
		}
	}
	eventually(t, "the events have left", func() bool { return buffer.Entries(visit.RootEvent) == 0 })
	if direct == 0 {
		t.Error("no event was stored at once")
	}
	if got := impaired(b); !strings.Contains(got, "stream VISITOR_QUARANTINE is full: maximum bytes exceeded") {
		t.Errorf("degraded by %q", got)
	}
}

// After an outage the events leave the spool although more than can be tried at
// once wait for a quarantine that takes nothing.
func TestQuarantine_LongQueueForItDoesNotHoldBackEvents(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	buffer := openSpool(t, t.TempDir(), 8<<20)
	b := ready(t, s, with(buffer, nil))
	fillQuarantine(t, s.JetStream())
	s.Stop()
	const stuck = 100
	for i := range stuck {
		mustSpool(t, b, unreadable(fmt.Sprint("lobby-", i), fmt.Sprint("q", i), 500))
	}
	for i := range 10 {
		mustSpool(t, b, happened(t, "lobby-1", "hq", "", fmt.Sprint(i)))
	}
	s.Restart()
	eventually(t, "the events have left", func() bool { return buffer.Entries(visit.RootEvent) == 0 })
	js := s.JetStream()
	if got := len(ids(t, js)); got != 10 || buffer.Entries(visit.RootQuarantine) != stuck {
		t.Errorf("%d events are stored, %d bodies wait", got, buffer.Entries(visit.RootQuarantine))
	}
	bound(t, js, "VISITOR_QUARANTINE", func(c *jetstream.StreamConfig) { c.MaxBytes = -1 })
	awaitDrained(t, buffer)
}

// NATS refuses one site, and more visits of it wait than can be tried at once.
func TestSpool_DeniedSiteDoesNotHoldBackOthers(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "relay", Password: "p", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"visitors.v1.event.port.>"}},
		}}}
	})
	buffer := openSpool(t, t.TempDir(), 8<<20)
	b := ready(t, s, with(buffer, nil), func(c *broker.Config) { c.NATS.Auth.User, c.NATS.Auth.Password = "relay", always("p") })
	const stuck = 300
	s.Stop()
	for i := range stuck {
		mustSpool(t, b, happened(t, "dock", "port", fmt.Sprint("visit-", i), fmt.Sprint("port-", i)))
	}
	mustSpool(t, b, happened(t, "lobby", "hq", "visit", "hq"))
	s.Restart()
	eventually(t, "the other site's event has left", func() bool { return buffer.Entries(visit.RootEvent) == stuck })
	eventually(t, "the denial is told", func() bool { return strings.Contains(impaired(b), "stream VISITORS did not store the last message") })
}

// spoolUntilRefused spools until the spool takes no more of what make makes.
func spoolUntilRefused(t *testing.T, b *broker.Broker, make func(id string) visit.Message) (n int) {
	t.Helper()
	for ; n < 100_000; n++ {
		if _, err := b.Publish(within(t, 300*time.Millisecond), make(fmt.Sprint("m", n))); err != nil {
			if !errors.Is(err, spool.ErrFull) {
				t.Fatalf("after %d: %v", n, err)
			}
			return n
		}
	}
	t.Fatal("never refused")
	return n
}

func TestShares_OneIntegrationDoesNotFillTheSpool(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	dir, reg := t.TempDir(), prometheus.NewRegistry()
	buffer := openSpool(t, dir, 1<<20)
	b := ready(t, s, with(buffer, reg))
	b.Share(3)
	s.Stop()
	body := func(integration string) func(string) visit.Message {
		return func(id string) visit.Message { return unreadable(integration, id, 10_000) }
	}
	event := func(integration string) func(string) visit.Message {
		return func(id string) visit.Message {
			m := happened(t, integration, "hq", "", integration+id)
			m.Data = make([]byte, 10_000)
			return m
		}
	}
	filled := func() float64 { return buffer.Stats().Full }
	spoolUntilRefused(t, b, body("hog"))
	if full := filled(); full < 0.08 || full > 0.13 {
		t.Errorf("unreadable bodies of one integration fill %.2f of the spool", full)
	}
	if got := impaired(b); !strings.Contains(got, "full for the integration hog") {
		t.Errorf("degraded by %q", got)
	}
	if got := sample(t, reg, "sine_relay_spool_shares_exhausted"); got != 1 {
		t.Errorf("%v shares are used up", got)
	}
	spoolUntilRefused(t, b, body("second"))
	spoolUntilRefused(t, b, body("third"))
	if full := filled(); full > 0.25 {
		t.Errorf("unreadable bodies fill %.2f of the spool", full)
	}
	spoolUntilRefused(t, b, event("hog"))
	if full := filled(); full > 0.65 {
		t.Errorf("with the events of one integration, %.2f of the spool are full", full)
	}
	if n := spoolUntilRefused(t, b, event("second")); n < 10 {
		t.Errorf("the second got room for %d events", n)
	}
	if n := spoolUntilRefused(t, b, event("third")); n < 5 {
		t.Errorf("the third got room for %d events", n)
	}
	// All of it is known again after a restart.
	if err := errors.Join(b.Close(t.Context()), buffer.Close()); err != nil {
		t.Fatal(err)
	}
	buffer = openSpool(t, dir, 1<<20)
	b = connectTo(t, s, with(buffer, nil))
	b.Share(4)
	if n := spoolUntilRefused(t, b, event("hog")); n > 0 {
		t.Errorf("after a restart the hog got room for %d more", n)
	}
	mustSpool(t, b, happened(t, "fourth", "hq", "", "late"))
}

// A single integration may fill the spool with events, though not with what could
// not be understood.
func TestShares_SingleIntegrationMayFillTheSpool(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	buffer := openSpool(t, t.TempDir(), 1<<20)
	b := ready(t, s, with(buffer, nil))
	s.Stop()
	spoolUntilRefused(t, b, func(id string) visit.Message { return unreadable("lobby", id, 10_000) })
	if full := buffer.Stats().Full; full < 0.23 || full > 0.25 {
		t.Errorf("unreadable bodies fill %.2f of the spool", full)
	}
	spoolUntilRefused(t, b, func(id string) visit.Message {
		m := happened(t, "lobby", "hq", "", id)
		m.Data = make([]byte, 10_000)
		return m
	})
	if full := buffer.Stats().Full; full < 0.98 {
		t.Errorf("the events get %.2f of the spool", full)
	}
}

// Who has the key of one lobby cannot fill the quarantine's stream for all.
func TestShares_OneIntegrationDoesNotFillTheQuarantine(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	reg := prometheus.NewRegistry()
	b := ready(t, s, func(c *broker.Config) { c.Streams.Quarantine.MaxBytes, c.Registerer = 1<<20, reg })
	b.Share(2)
	var refusal error
	stored := 0
	for ; refusal == nil && stored < 1000; stored++ {
		_, refusal = b.Publish(within(t, patience), unreadable("hog", fmt.Sprint(stored), 10_000))
	}
	if !errors.Is(refusal, visit.ErrStreamFull) || stored < 40 || stored > 60 {
		t.Errorf("after %d bodies of 10 KB: %v", stored, refusal)
	}
	if got := impaired(b); !strings.Contains(got, "the integration hog: its share of the quarantine is exhausted") {
		t.Errorf("degraded by %q", got)
	}
	if got := sample(t, reg, "sine_relay_quarantine_shares_exhausted"); got != 1 {
		t.Errorf("%v shares are used up", got)
	}
	for i := range 10 {
		if _, err := b.Publish(within(t, patience), unreadable("other", fmt.Sprint("o", i), 10_000)); err != nil {
			t.Fatalf("another's body %d: %v", i, err)
		}
	}
	purge(t, s.JetStream(), "VISITOR_QUARANTINE")
	b.CheckSoon()
	eventually(t, "the share is free again", func() bool {
		_, err := b.Publish(within(t, patience), unreadable("hog", fmt.Sprint("again", time.Now()), 10_000))
		return err == nil && impaired(b) == ""
	})
}

// What waits because its integration has its share is sent once there is room.
func TestShares_WaitingMessagesAreForwardedOnceThereIsRoom(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	buffer := openSpool(t, t.TempDir(), 8<<20)
	b := ready(t, s, with(buffer, nil), func(c *broker.Config) { c.Streams.Quarantine.MaxBytes = 1 << 20 })
	b.Share(2)
	for i := 0; buffer.Entries(visit.RootQuarantine) < 5; i++ {
		if _, err := b.Publish(within(t, patience), unreadable("hog", fmt.Sprint(i), 10_000)); err != nil || i > 200 {
			t.Fatalf("body %d: %v", i, err)
		}
	}
	purge(t, s.JetStream(), "VISITOR_QUARANTINE")
	b.CheckSoon()
	awaitDrained(t, buffer)
}
