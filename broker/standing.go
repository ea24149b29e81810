package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/visit"
)

// Orders returns the operator's standing orders as they were last read, and
// whether they are known at all. It does not wait.
func (b *Broker) Orders() (all []visit.Order, known bool) { return b.orders.Orders() }

// Book is where an operator gives orders.
type Book struct {
	*orders.Book
	close func()
}

// Close disconnects.
func (b *Book) Close() { b.close() }

// OpenBook connects an operator, and creates the bucket if it is absent.
func OpenBook(ctx context.Context, cfg Config) (*Book, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	nc, err := cfg.dialOnce()
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err == nil {
		var book *orders.Book
		if book, err = orders.Open(ctx, js, cfg.Orders, cfg.Replicas); err == nil {
			return &Book{book, nc.Close}, nil
		}
	}
	nc.Close()
	return nil, err
}

// deaf is why a lockdown that is given now would not be heard of, or would be
// forgotten at the next start, or nil.
func (b *Broker) deaf() error {
	s := b.orders.Status()
	if err := errors.Join(s.Err, s.KeptErr); err != nil {
		return fmt.Errorf("lockdowns and overrides: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

// orderLines tell about the orders for somebody who looks closer.
func (b *Broker) orderLines() []string {
	s := b.orders.Status()
	lines := []string{fmt.Sprintf("orders: from %s, as of %s", s.Source, s.AsOf.UTC().Format(time.RFC3339))}
	if s.Source == orders.SourceNone {
		lines = []string{"orders: not known; nobody is let in without a decider"}
	}
	for _, err := range []error{s.Err, s.KeptErr} {
		if err != nil {
			lines = append(lines, "orders: "+err.Error())
		}
	}
	for _, err := range s.Invalid {
		lines = append(lines, "orders: "+err.Error())
	}
	all, _ := b.orders.Orders()
	for _, o := range all {
		if o.InForce(time.Now()) {
			lines = append(lines, fmt.Sprintf("orders: %s of %s in force, given by %q", o.Kind, siteName(o.Site), o.By))
		}
	}
	return lines
}

func siteName(site string) string {
	if site == visit.AllSites {
		return "all sites"
	}
	return "site " + site
}

// orderGauges tell which orders are in force.
type orderGauges struct{ watcher *orders.Watcher }

func watchOrders(reg prometheus.Registerer, w *orders.Watcher) {
	if reg != nil {
		reg.MustRegister(orderGauges{w})
	}
}

var (
	ordersKnown  = prometheus.NewDesc("sine_relay_orders_known", "1 while the standing orders are known; otherwise nobody is let in without a decider.", nil, nil)
	orderInForce = prometheus.NewDesc("sine_relay_order_in_force", "1 for each lockdown and override in force; the site * is all of them.", []string{"kind", "site"}, nil)
)

// Describe and Collect make it a prometheus.Collector.
func (g orderGauges) Describe(c chan<- *prometheus.Desc) {
	c <- ordersKnown
	c <- orderInForce
}

func (g orderGauges) Collect(c chan<- prometheus.Metric) {
	all, known := g.watcher.Orders()
	c <- prometheus.MustNewConstMetric(ordersKnown, prometheus.GaugeValue, oneIf(known))
	for _, o := range all {
		if o.InForce(time.Now()) {
			c <- prometheus.MustNewConstMetric(orderInForce, prometheus.GaugeValue, 1, string(o.Kind), o.Site)
		}
	}
}
