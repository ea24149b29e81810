package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/outbox/spool"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/visit"
)

func openSpool(t *testing.T, dir string, maxBytes int64) *spool.Spool {
	t.Helper()
	s, err := spool.Open(spool.Config{Dir: dir, MaxBytes: maxBytes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func with(s *spool.Spool, reg *prometheus.Registry) func(*broker.Config) {
	return func(c *broker.Config) {
		c.Spool = s
		if reg != nil {
			c.Registerer = reg
		}
	}
}

// ordered is an event of an order.
func ordered(order, id string) visit.Message {
	m := event(id)
	m.OrderingKey = order
	return m
}

func mustSpool(t *testing.T, b *broker.Broker, m visit.Message) {
	t.Helper()
	receipt, err := b.Publish(within(t, patience), m)
	if err != nil || !receipt.Spooled {
		t.Errorf("%s: %+v %v", m.ID, receipt, err)
	}
}

// ids are those in the stream of events, in their order.
func ids(t *testing.T, js jetstream.JetStream) []string {
	t.Helper()
	stream, err := js.Stream(within(t, patience), "VISITORS")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	state := stream.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq; seq++ {
		m, err := stream.GetMsg(within(t, patience), seq)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m.Header.Get(visit.HeaderMsgID))
	}
	return all
}

func awaitDrained(t *testing.T, s *spool.Spool) {
	t.Helper()
	eventually(t, "the spool is empty", func() bool { return s.Stats().Entries == 0 })
}

func TestSpool_TakesEventsAtOnceDuringAnOutageAndKeepsTheirOrder(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	buffer, reg := openSpool(t, t.TempDir(), 1<<20), prometheus.NewRegistry()
	b := ready(t, s, with(buffer, reg))
	if _, err := b.Publish(within(t, patience), ordered("a", "a-0")); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	eventually(t, "the connection is gone", func() bool { return !b.Status().EventsConnected })
	started := time.Now()
	for i := 1; i < 20; i++ {
		for _, order := range []string{"a", "b"} {
			mustSpool(t, b, ordered(order, fmt.Sprintf("%s-%d", order, i)))
		}
	}
	if took := time.Since(started); took > atOnce {
		t.Errorf("spooling took %s", took)
	}
	if lines := strings.Join(b.Status().Lines(), "\n"); !strings.Contains(lines, "spool: 38 messages") {
		t.Errorf("the status says:\n%s", lines)
	}
	s.Restart()
	awaitDrained(t, buffer)
	last := map[string]int{"a": -1, "b": 0}
	all := ids(t, s.JetStream())
	for _, id := range all {
		var n int
		order, number, _ := strings.Cut(id, "-")
		fmt.Sscan(number, &n)
		if n != last[order]+1 {
			t.Errorf("%s came after %s-%d", id, order, last[order])
		}
		last[order] = n
	}
	if len(all) != 39 {
		t.Errorf("%d are stored, want 39", len(all))
	}
	for name, want := range map[string]float64{"spooled_total": 38, "forwarded_total": 38, "recovered_total": 0, "quarantined_total": 0, "messages": 0} {
		eventually(t, fmt.Sprint(name, " is ", want), func() bool { // they are counted after they were removed
			return sample(t, reg, "sine_relay_spool_"+name) == want
		})
	}
}

// bound changes a stream's limits.
func bound(t *testing.T, js jetstream.JetStream, name string, change func(*jetstream.StreamConfig)) {
	t.Helper()
	stream, err := js.Stream(within(t, patience), name)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	change(&cfg)
	if _, err := js.UpdateStream(within(t, patience), cfg); err != nil {
		t.Fatal(err)
	}
}

func TestSpool_QueuesAnEventBehindOneWithItsOrderingKey(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	buffer := openSpool(t, t.TempDir(), 1<<20)
	b, js := ready(t, s, with(buffer, nil)), s.JetStream()
	if _, err := b.Publish(within(t, patience), ordered("other", "x")); err != nil {
		t.Fatal(err)
	}
	// A stream that is full for a while: the first waits, and so does what comes
	// behind it, also once there is room.
	bound(t, js, "VISITORS", func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 })
	mustSpool(t, b, ordered("a", "1"))
	bound(t, js, "VISITORS", func(c *jetstream.StreamConfig) { c.MaxMsgs = -1 })
	if _, err := b.Publish(within(t, patience), ordered("a", "2")); err != nil {
		t.Fatal(err)
	}
	awaitDrained(t, buffer)
	if got := strings.Join(ids(t, js), " "); got != "x 1 2" {
		t.Errorf("stored as %s", got)
	}
}

func TestSpool_ForwardsWhatAnEarlierProcessLeft(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	dir := t.TempDir()
	first := openSpool(t, dir, 1<<20)
	b := ready(t, s, with(first, nil))
	s.Stop()
	for i := range 5 {
		mustSpool(t, b, ordered("a", fmt.Sprint(i)))
	}
	b.Close(context.Background())
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	second, reg := openSpool(t, dir, 1<<20), prometheus.NewRegistry()
	ready(t, s, with(second, reg))
	awaitDrained(t, second)
	if got := strings.Join(ids(t, s.JetStream()), " "); got != "0 1 2 3 4" {
		t.Errorf("stored as %s", got)
	}
	if got := sample(t, reg, "sine_relay_spool_recovered_total"); got != 5 {
		t.Errorf("%v were recovered", got)
	}
}

func TestSpool_RefusesMessagesWhenFull(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	reg := prometheus.NewRegistry()
	largest := streams.LargestMessage(1000)
	b := ready(t, s, with(openSpool(t, t.TempDir(), 4*largest), reg), func(c *broker.Config) { c.Streams.BodyLimit = 1000 })
	s.Stop()
	gauges := func(nearly, full float64) {
		t.Helper()
		for name, want := range map[string]float64{"nearly_full": nearly, "full": full} {
			if got := sample(t, reg, "sine_relay_spool_"+name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	}
	large := ordered("a", "1")
	large.Data = make([]byte, largest-512)
	for range 3 {
		gauges(0, 0)
		mustSpool(t, b, large)
	}
	half := large
	half.Data = large.Data[:largest/2]
	mustSpool(t, b, half)
	gauges(1, 1)
	_, err := b.Publish(within(t, patience), large)
	if !errors.Is(err, spool.ErrFull) {
		t.Errorf("%v", err)
	}
	if got := sample(t, reg, "sine_relay_spool_refused_total"); got != 1 {
		t.Errorf("%v refused", got)
	}
}

func TestSpool_QuarantinesAMessageThatTheStreamRefuses(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	buffer, reg := openSpool(t, t.TempDir(), 1<<20), prometheus.NewRegistry()
	b, js := ready(t, s, with(buffer, reg)), s.JetStream()
	bound(t, js, "VISITORS", func(c *jetstream.StreamConfig) { c.MaxMsgSize = 2000 })
	large := ordered("a", "large")
	large.Data = make([]byte, 5000)
	mustSpool(t, b, large)
	for _, m := range []visit.Message{ordered("a", "behind"), ordered("b", "beside")} {
		if _, err := b.Publish(within(t, patience), m); err != nil {
			t.Fatal(err)
		}
	}
	awaitDrained(t, buffer)
	if got := ids(t, js); len(got) != 2 {
		t.Errorf("stored: %v", got)
	}
	quarantine, err := js.Stream(within(t, patience), "VISITOR_QUARANTINE")
	if err != nil {
		t.Fatal(err)
	}
	m, err := quarantine.GetMsg(within(t, patience), 1)
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get(visit.HeaderReason) != string(visit.ReasonRefused) || m.Header.Get(visit.HeaderID) != "large" ||
		m.Header.Get(visit.HeaderRefusedSubject) != large.Subject || m.Subject != "visitors.v1.quarantine.hq" || len(m.Data) != 5000 {
		t.Errorf("set aside on %s as %v", m.Subject, m.Header)
	}
	if got := sample(t, reg, "sine_relay_spool_quarantined_total"); got != 1 {
		t.Errorf("%v set aside", got)
	}
}

func TestSpool_KeepsWhatTheQuarantineRefusesAndBlocksNothing(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	buffer, reg := openSpool(t, t.TempDir(), 1<<20), prometheus.NewRegistry()
	b, js := ready(t, s, with(buffer, reg)), s.JetStream()
	for _, name := range []string{"VISITORS", "VISITOR_QUARANTINE"} {
		bound(t, js, name, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 2000 })
	}
	large := ordered("a", "large")
	large.Data = make([]byte, 5000)
	mustSpool(t, b, large)
	mustSpool(t, b, ordered("a", "behind"))
	for i := range 20 {
		if _, err := b.Publish(within(t, patience), ordered("b", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "what is behind it is stored", func() bool { return len(ids(t, js)) == 21 && buffer.Stats().Entries == 1 })
	for _, name := range []string{"VISITORS", "VISITOR_QUARANTINE"} {
		bound(t, js, name, func(c *jetstream.StreamConfig) { c.MaxMsgSize = -1 })
	}
	awaitDrained(t, buffer)
	for name, want := range map[string]float64{"spooled_total": 3, "forwarded_total": 2, "quarantined_total": 1} {
		eventually(t, fmt.Sprint(name, " is ", want), func() bool { // they are counted after they were removed
			return sample(t, reg, "sine_relay_spool_"+name) >= want
		})
	}
}

// Repeats from Sine that come while NATS is away end as one message.
func TestSpool_StoresRepeatsOnce(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	buffer := openSpool(t, t.TempDir(), 1<<20)
	b := ready(t, s, with(buffer, nil))
	s.Stop()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { mustSpool(t, b, ordered("a", "same")) })
	}
	all.Wait()
	s.Restart()
	awaitDrained(t, buffer)
	if got := ids(t, s.JetStream()); len(got) != 1 {
		t.Errorf("stored: %v", got)
	}
}

// Rights that come back are enough: nothing is given up for lack of them.
func TestSpool_HoldsAnEventUntilItIsPermitted(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "relay", Password: "p", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"visitors.v1.event.>"}},
		}}}
	})
	buffer := openSpool(t, t.TempDir(), 1<<20)
	b := ready(t, s, with(buffer, nil), func(c *broker.Config) { c.NATS.Auth.User, c.NATS.Auth.Password = "relay", always("p") })
	mustSpool(t, b, ordered("a", "1"))
	s.Stop()
	s.Restart(natstest.WithUser("relay", "p"))
	awaitDrained(t, buffer)
}

// Senders that go on without a pause, all of one order, would fill the spool as
// fast as it empties.
func TestSpool_BecomesEmptyUnderConstantLoad(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	buffer := openSpool(t, t.TempDir(), 1<<28)
	b := ready(t, s, with(buffer, nil), func(c *broker.Config) { c.Streams.Events.MaxBytes = 1 << 28 })
	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	defer senders.Wait()
	defer stop()
	var spooled, direct atomic.Int64
	for sender := range 4 {
		senders.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				receipt, err := b.Publish(within(t, patience), ordered("a", fmt.Sprint(sender, "-", i)))
				switch {
				case err != nil:
					t.Error(err)
				case receipt.Spooled:
					spooled.Add(1)
				default:
					direct.Add(1)
				}
			}
		})
	}
	s.Stop()
	eventually(t, "many wait", func() bool { return spooled.Load() > 1000 })
	s.Restart()
	before := direct.Load()
	eventually(t, "they are published directly again", func() bool { return direct.Load() > before+1000 })
}

// While the spool is full but NATS is there, what would queue behind others is
// stored all the same: losing it would be worse than its place.
func TestSpool_WhenFullEventsArePublishedDirectly(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	reg := prometheus.NewRegistry()
	buffer := openSpool(t, t.TempDir(), 3000)
	b, js := ready(t, s, with(buffer, reg)), s.JetStream()
	for _, name := range []string{"VISITORS", "VISITOR_QUARANTINE"} {
		bound(t, js, name, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 2000 })
	}
	large := ordered("integration/hq", "large")
	large.Data = make([]byte, 2780)
	mustSpool(t, b, large)
	receipt, err := b.Publish(within(t, patience), ordered("integration/hq", "next"))
	if err != nil || receipt.Spooled {
		t.Errorf("%+v %v", receipt, err)
	}
	if got := sample(t, reg, "sine_relay_spool_refused_total"); got != 0 {
		t.Errorf("%v refused", got)
	}
}

// The order of a visit is kept even then.
func TestSpool_WhenFullACheckOutDoesNotOvertakeItsCheckIn(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	buffer := openSpool(t, t.TempDir(), 3000)
	b, js := ready(t, s, with(buffer, nil)), s.JetStream()
	for _, name := range []string{"VISITORS", "VISITOR_QUARANTINE"} {
		bound(t, js, name, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 2000 })
	}
	in := ordered("visit/1", "in")
	in.Data = make([]byte, 2800)
	mustSpool(t, b, in)
	if _, err := b.Publish(within(t, 2*time.Second), ordered("visit/1", "out")); !errors.Is(err, spool.ErrFull) {
		t.Errorf("the check-out: %v", err)
	}
	if _, err := b.Publish(within(t, patience), ordered("visit/2", "other")); err != nil {
		t.Errorf("another visit: %v", err)
	}
	if got := strings.Join(ids(t, js), " "); got != "other" {
		t.Errorf("stored: %s", got)
	}
}

// An event that has little time left ends before NATS is known to be silent. Nobody
// has it then, and so it must be spooled.
func TestSpool_TakesAnEventWhoseDeadlineEndsBeforeAnyResult(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	buffer := openSpool(t, t.TempDir(), 1<<20)
	b, js := ready(t, s, with(buffer, nil)), s.JetStream()
	watchEvents(t, s) // a listener that does not answer, and so no "no responders"
	bound(t, js, "VISITORS", func(c *jetstream.StreamConfig) { c.Subjects = []string{"elsewhere"} })
	unlessHeldUp(t, func() error {
		receipt, err := b.Publish(within(t, 400*time.Millisecond), event("1"))
		if err == nil && !receipt.Spooled {
			t.Fatalf("it is called stored: %+v", receipt)
		}
		return err
	})
	bound(t, js, "VISITORS", func(c *jetstream.StreamConfig) { c.Subjects = []string{"visitors.v1.event.>"} })
	awaitDrained(t, buffer)
	if got := strings.Join(ids(t, js), " "); got != "1" {
		t.Errorf("stored: %s", got)
	}
}

// NATS is connected and acknowledges nothing, as while a cluster elects a leader:
// one caller finds out, and nobody else waits for it.
func TestSpool_TakesEventsAtOnceWhileNATSIsUnresponsive(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	buffer := openSpool(t, t.TempDir(), 1<<20)
	b, js := ready(t, s, with(buffer, nil)), s.JetStream()
	watchEvents(t, s) // a listener that does not answer, and so no "no responders"
	bound(t, js, "VISITORS", func(c *jetstream.StreamConfig) { c.Subjects = []string{"elsewhere"} })
	mustSpool(t, b, ordered("first", "first"))
	const callers = 50
	started := time.Now()
	for i := range callers {
		mustSpool(t, b, ordered(fmt.Sprint(i), fmt.Sprint(i)))
	}
	if took := time.Since(started); took > atOnce {
		t.Errorf("%d took %s", callers, took)
	}
	bound(t, js, "VISITORS", func(c *jetstream.StreamConfig) { c.Subjects = []string{"visitors.v1.event.>"} })
	awaitDrained(t, buffer)
	receipt, err := b.Publish(within(t, patience), ordered("last", "last"))
	if err != nil || receipt.Spooled {
		t.Errorf("afterwards: %+v %v", receipt, err)
	}
	if got := len(ids(t, js)); got != callers+2 {
		t.Errorf("%d are stored", got)
	}
}

// The spool is full and NATS away for a moment: what can still be done is to wait.
func TestSpool_WhenFullAnEventWaitsForNATS(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s, with(openSpool(t, t.TempDir(), 1), nil))
	s.Stop()
	stored := make(chan error, 1)
	go func() { _, err := b.Publish(within(t, patience), ordered("a", "1")); stored <- err }()
	eventually(t, "the connection is gone", func() bool { return !b.Status().EventsConnected })
	s.Restart()
	if err := <-stored; err != nil {
		t.Error(err)
	}
}
