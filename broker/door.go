package broker

import (
	"context"
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
	d := &Door{link: newLink("door", cfg.Logger, m), ignored: newIgnoredReplies(cfg.Logger, m)}
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
	d.orders = orders.Watch(orders.WatchConfig{
		JetStream: js, Bucket: cfg.Orders, Replicas: cfg.Replicas, MaxAge: cfg.OrdersMaxAge, MaxOverride: cfg.OverrideMaxDuration,
	})
	d.awaitOrders(ctx)
	return d, nil
}

func (d *Door) awaitOrders(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ordersPatience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, known := d.orders.Orders(); known || ctx.Err() != nil {
			return
		}
		<-tick.C
	}
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
	return last.text
}

// Close disconnects.
func (d *Door) Close() {
	d.orders.Close()
	d.link.close()
}
