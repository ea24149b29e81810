package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/visit"
)

// ordersTimeout is how long an asker waits for the standing orders.
const ordersTimeout = 2 * time.Second

// Asker asks deciders for an operator who tries them out. It has no streams.
type Asker struct {
	conn    *conn.Conn
	orders  *orders.Watcher
	replies *replies
	opened  conn.LastError // the last error before the first request
}

// OpenAsker connects, and reads the standing orders if that is possible within a
// moment.
func OpenAsker(ctx context.Context, cfg Config) (*Asker, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	a := &Asker{replies: newReplies(slog.New(slog.DiscardHandler), nil)}
	if a.conn, err = conn.DialOperator(cfg.NATS, connRequests, a.replies.ofDeciders); err != nil {
		return nil, err
	}
	if err := a.readOrders(ctx, cfg); err != nil {
		a.conn.Close()
		return nil, fmt.Errorf("broker: %w", err)
	}
	a.opened, _ = a.conn.State()
	return a, nil
}

// readOrders follows all sites, as an operator may, or else those of the integrations,
// which is what a relay's user may.
func (a *Asker) readOrders(ctx context.Context, cfg Config) error {
	js, err := a.conn.JetStream()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, ordersTimeout)
	defer cancel()
	watch := cfg.watchConfig()
	watch.JetStream, watch.Sites = js, nil
	a.orders = orders.Watch(watch)
	a.awaitOrders(ctx)
	if len(cfg.OrderSites) == 0 || !errors.Is(a.orders.Status().Err, visit.ErrDenied) {
		return nil
	}
	a.orders.Close()
	watch.Sites = cfg.OrderSites
	a.orders = orders.Watch(watch)
	a.awaitOrders(ctx)
	return nil
}

// awaitOrders waits until the orders are known, or may not be read.
func (a *Asker) awaitOrders(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		if s := a.orders.Status(); s.Known || errors.Is(s.Err, visit.ErrDenied) {
			return
		}
		<-tick.C
	}
}

// OrdersFault is why the standing orders of a site are not known, or nil.
func (a *Asker) OrdersFault(site string) error {
	if _, known := a.orders.OrdersAt(site); known {
		return nil
	}
	s := a.orders.Status()
	return cmp.Or(s.Err, s.Unfit, errors.New("the bucket could not be read completely, or a lockdown may have been evicted from it"))
}

// Ask does what [Broker.Ask] does.
func (a *Asker) Ask(ctx context.Context, request visit.Message) (visit.Decision, error) {
	return ask(ctx, request, a.replies, a.conn, nil)
}

// OrdersAt does what [Broker.OrdersAt] does.
func (a *Asker) OrdersAt(site string) (all []visit.Order, known bool) { return a.orders.OrdersAt(site) }

// Trouble is the last error of the connection, or empty. A situation such as
// "denied" does not say which subject NATS refuses, nor "timeout" that a stream
// acknowledges the requests.
func (a *Asker) Trouble() string {
	if err := a.replies.fault(); err != nil {
		return err.Error()
	}
	last, _ := a.conn.State()
	if last == a.opened {
		return "" // what [Asker.OrdersFault] says
	}
	return last.Text
}

// Close disconnects.
func (a *Asker) Close() {
	a.orders.Close()
	a.conn.Close()
}
