package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/visit"
)

// ordersPatience is how long an operator's door waits for the standing orders.
const ordersPatience = 2 * time.Second

// Door asks deciders for an operator who tries them out. It has no streams.
type Door struct {
	link    *link
	orders  *orders.Watcher
	ignored *ignoredReplies
	opened  connError // the last error before the first question
}

// OpenDoor connects, and reads the standing orders if that is possible within a
// moment.
func OpenDoor(ctx context.Context, cfg Config) (*Door, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	options, err := cfg.options()
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	inbox, err := cfg.operatorInboxPrefix()
	if err != nil {
		return nil, err
	}
	cfg.Registerer, cfg.Logger = nil, slog.New(slog.DiscardHandler)
	m := newMetrics(cfg)
	d := &Door{link: newLink("check_in_requests", cfg.Logger, m), ignored: newIgnoredReplies(cfg.Logger, m)}
	d.link.secured(cfg.TLS)
	d.link.hears.ignored = d.ignored.acknowledgement
	if err := d.link.dial(cfg.urls(), inbox, append(options, nats.RetryOnFailedConnect(false))); err != nil {
		return nil, fmt.Errorf("NATS at %s: %w", cfg.hosts(), cfg.TLS.explained(err))
	}
	js, err := jetstream.New(d.link.nc)
	if err != nil {
		d.link.close()
		return nil, fmt.Errorf("broker: %w", err)
	}
	d.readOrders(ctx, cfg, js)
	d.opened, _ = d.link.state()
	return d, nil
}

// readOrders follows all sites, as an operator may, or else those of the integrations,
// which is what a relay's user may.
func (d *Door) readOrders(ctx context.Context, cfg Config, js jetstream.JetStream) {
	ctx, cancel := context.WithTimeout(ctx, ordersPatience)
	defer cancel()
	watch := orders.WatchConfig{
		JetStream: js, Bucket: cfg.Orders, Replicas: cfg.Replicas, MaxAge: cfg.OrdersMaxAge, MaxOverride: cfg.OverrideMaxDuration,
	}
	d.orders = orders.Watch(watch)
	d.awaitOrders(ctx)
	if len(cfg.OrderSites) == 0 || !errors.Is(d.orders.Status().Err, visit.ErrDenied) {
		return
	}
	d.orders.Close()
	watch.Sites = cfg.OrderSites
	d.orders = orders.Watch(watch)
	d.awaitOrders(ctx)
}

// awaitOrders waits until the orders are known, or may not be read.
func (d *Door) awaitOrders(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		if s := d.orders.Status(); s.Known || errors.Is(s.Err, visit.ErrDenied) {
			return
		}
		<-tick.C
	}
}

// OrdersFault is why the standing orders of a site are not known, or nil.
func (d *Door) OrdersFault(site string) error {
	if _, known := d.orders.OrdersAt(site); known {
		return nil
	}
	s := d.orders.Status()
	return cmp.Or(s.Err, s.Unfit, errors.New("the bucket could not be read completely, or a lockdown may have been evicted from it"))
}

// Ask does what [Broker.Ask] does.
func (d *Door) Ask(ctx context.Context, question visit.Message) (visit.Decision, error) {
	return d.link.ask(ctx, question, nil)
}

// OrdersAt does what [Broker.OrdersAt] does.
func (d *Door) OrdersAt(site string) (all []visit.Order, known bool) { return d.orders.OrdersAt(site) }

// Trouble is the last error of the connection, or empty. A situation such as
// "denied" does not say which subject NATS refuses, nor "timeout" that a stream
// acknowledges the requests.
func (d *Door) Trouble() string {
	if err := d.ignored.fault(); err != nil {
		return err.Error()
	}
	last, _ := d.link.state()
	if last == d.opened {
		return "" // what [Door.OrdersFault] says
	}
	return last.text
}

// Close disconnects.
func (d *Door) Close() {
	d.orders.Close()
	d.link.close()
}
