package orders_test

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

const bucket = "VISITOR_ORDERS"

const patience = wait.Limit

var (
	eventually = wait.Until
	within     = wait.Context
)

// jetStream is on a connection such as the relay's, which outlives the server.
func jetStream(t *testing.T, s *natstest.Server, o ...nats.Option) jetstream.JetStream {
	t.Helper()
	return s.JetStream(append([]nats.Option{
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.ReconnectWait(20 * time.Millisecond), nats.ReconnectJitter(0, 0), nats.IgnoreAuthErrorAbort(),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // by default it prints
	}, o...)...)
}

// watch follows the bucket until the test ends.
func watch(t *testing.T, s *natstest.Server, change ...func(*orders.WatchConfig)) *orders.Watcher {
	t.Helper()
	cfg := orders.WatchConfig{JetStream: jetStream(t, s), Bucket: bucket}
	for _, c := range change {
		c(&cfg)
	}
	w := orders.Watch(cfg)
	t.Cleanup(w.Close)
	return w
}

// readSoon has the bucket read every two seconds.
func readSoon(c *orders.WatchConfig) { c.MaxAge = 6 * time.Second }

func open(t *testing.T, s *natstest.Server, o ...nats.Option) *orders.Book {
	t.Helper()
	b, err := orders.Open(within(t, patience), jetStream(t, s, o...), bucket, 1)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t *testing.T, b *orders.Book, all ...visit.Order) {
	t.Helper()
	for _, o := range all {
		if _, err := b.Put(within(t, patience), o); err != nil {
			t.Fatal(err)
		}
	}
}

func lift(t *testing.T, b *orders.Book, o visit.Order) {
	t.Helper()
	if _, err := b.Lift(within(t, patience), liftOf(o)); err != nil {
		t.Fatal(err)
	}
}

func liftOf(o visit.Order) visit.Lift { return visit.Lift{Kind: o.Kind, Site: o.Site, By: "ada"} }

// plain are orders as the tests write them: without what is new each time.
func plain(all []visit.Order) []visit.Order {
	var bare []visit.Order
	for _, o := range all {
		lasts := o.Until.Sub(o.Since)
		if o.Since = begun; !o.Until.IsZero() {
			o.Until = begun.Add(lasts)
		}
		o.ID = ""
		bare = append(bare, o)
	}
	return bare
}

// begun is when the tests' orders were given; JSON keeps it as it is.
var begun = time.Now().UTC().Truncate(time.Millisecond)

func lockdown(site string) visit.Order {
	return visit.Order{Kind: visit.OrderLockdown, Site: site, Message: "Please leave", Reason: "alarm", By: "ada", Since: begun}
}

func override(site string) visit.Order {
	return visit.Order{Kind: visit.OrderOverride, Site: site, Reason: "decider is down", By: "ada", Since: begun, Until: begun.Add(time.Hour)}
}

// sees waits until the watcher knows these orders, in the order of their keys,
// and no others.
func sees(t *testing.T, w *orders.Watcher, want ...visit.Order) {
	t.Helper()
	defer func() {
		if all, known := w.Orders(); t.Failed() {
			t.Logf("it has %+v, known %v, %+v", all, known, w.Status())
		}
	}()
	eventually(t, "the watcher has the orders", func() bool {
		all, known := w.Orders()
		return known && slices.Equal(plain(all), want)
	})
}

// follows waits until the watcher has read the bucket and goes on.
func follows(t *testing.T, w *orders.Watcher) {
	t.Helper()
	eventually(t, "the watcher follows the bucket", func() bool {
		s := w.Status()
		return s.Source == orders.SourceBucket && s.Err == nil
	})
}

func into(b *logtest.Buffer) func(*orders.WatchConfig) {
	return func(c *orders.WatchConfig) { c.Logger = b.Text() }
}
