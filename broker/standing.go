package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/visit"
)

// OrdersAt returns the operator's standing orders as they were last read, and
// whether those that concern a site are known: read a short time ago. It does not
// wait.
func (b *Broker) OrdersAt(site string) (all []visit.Order, known bool) {
	return b.orders.OrdersAt(site)
}

// SetSites changes the sites whose orders are followed.
func (b *Broker) SetSites(sites []string) { b.orders.SetSites(sites) }

// watchConfig is how a relay follows the orders.
func (b *Broker) watchConfig(cfg Config, js jetstream.JetStream) orders.WatchConfig {
	stream := "KV_" + cfg.Orders
	return orders.WatchConfig{
		JetStream: js, Bucket: cfg.Orders, Sites: cfg.OrderSites, MaxAge: cfg.OrdersMaxAge, MaxOverride: cfg.OverrideMaxDuration,
		Replicas: cfg.Replicas, KeptFile: cfg.OrdersFile, Logger: cfg.Logger,
		Unused: b.keeper.unused,
		Inspected: func(unfit error, differs []orders.Drift) {
			f := finding{fault: unfit, drift: driftsOf(differs)}
			b.metrics.setStream(stream, f)
			b.metrics.usable.WithLabelValues(stream).Set(oneIf(f.fit() && b.keeper.lasts(stream) == nil))
			for _, line := range f.drift.lines(stream) {
				b.keeper.tell(errors.New(line))
			}
		},
	}
}

func driftsOf(differs []orders.Drift) (all drifts) {
	for _, d := range differs {
		all = append(all, drift{d.Field, d.Found, d.Wanted, d.Remedy})
	}
	return all
}

// unused reports whether none of the streams has ever had a message.
func (k *keeper) unused(ctx context.Context) (bool, error) {
	for _, s := range k.streams {
		var info streamInfo
		err := k.api(ctx, "STREAM.INFO."+s.want.name, nil, &info)
		var refused *jetstream.APIError
		switch {
		case errors.As(err, &refused) && refused.ErrorCode == codeStreamNotFound:
		case err != nil:
			return false, fmt.Errorf("check whether stream %s was used: %w", s.want.name, err)
		case info.State.LastSeq > 0:
			return false, nil
		}
	}
	return true, nil
}

// Book is where an operator gives orders.
type Book struct {
	*orders.Book
	nc *nats.Conn
}

// Close disconnects.
func (b *Book) Close() { b.nc.Close() }

// OpenBook connects an operator, and creates the bucket if it is absent.
func OpenBook(ctx context.Context, cfg Config) (*Book, error) {
	return openBook(cfg, func(js jetstream.JetStream, cfg Config) (*orders.Book, error) {
		return orders.Open(ctx, js, cfg.Orders, cfg.Replicas)
	})
}

// FindBook connects an operator who only looks: an absent bucket is an error.
func FindBook(ctx context.Context, cfg Config) (*Book, error) {
	return openBook(cfg, func(js jetstream.JetStream, cfg Config) (*orders.Book, error) {
		return orders.Find(ctx, js, cfg.Orders)
	})
}

func openBook(cfg Config, open func(jetstream.JetStream, Config) (*orders.Book, error)) (*Book, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	nc, err := cfg.dialOperator()
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err == nil {
		var book *orders.Book
		if book, err = open(js, cfg); err == nil {
			book.MaxOverride = cfg.OverrideMaxDuration
			return &Book{book, nc}, nil
		}
	}
	nc.Close()
	return nil, err
}

// userTimeout bounds asking NATS who one is: a refusal is silence.
const userTimeout = 2 * time.Second

// User is who NATS takes this connection for.
func (b *Book) User(ctx context.Context) (user, account string, err error) {
	const subject = "$SYS.REQ.USER.INFO"
	ctx, cancel := context.WithTimeout(ctx, userTimeout)
	defer cancel()
	reply, err := b.nc.RequestWithContext(ctx, subject, nil)
	if err != nil {
		return "", "", fmt.Errorf("ask NATS for the user who gives the order: %w (requires permission to publish to %s)", explain(b.nc, err), subject)
	}
	var info struct {
		Data struct {
			User    string `json:"user"`
			Account string `json:"account"`
		} `json:"data"`
	}
	if err := json.Unmarshal(reply.Data, &info); err != nil {
		return "", "", fmt.Errorf("ask NATS for the user who gives the order: %w", err)
	}
	return info.Data.User, info.Data.Account, nil
}

// deaf is why a lockdown that is given now would not be heard of, or would be
// forgotten at the next start, or nil.
func (b *Broker) deaf() error {
	s := b.orders.Status()
	err := errors.Join(s.Err, s.KeptErr)
	if err == nil && !s.Known && s.Source != orders.SourceNone {
		err = errors.New(b.unknown(s))
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("lockdowns and overrides: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
}

// orderFault is why a person must help before the orders can be known, or nil.
func (b *Broker) orderFault() error {
	s := b.orders.Status()
	switch {
	case s.Unfit != nil:
		return fmt.Errorf("lockdowns and overrides: %w", s.Unfit)
	case errors.Is(s.Err, visit.ErrDenied):
		return fmt.Errorf("lockdowns and overrides: %w", s.Err)
	default:
		return nil
	}
}

// unknown says why the orders are not known.
func (b *Broker) unknown(s orders.Status) string {
	const then = "; only deciders accept visitors, and known lockdowns stay in force"
	switch {
	case s.Source == orders.SourceNone:
		return "unknown; no visitor is accepted without a decider"
	case s.Unfit != nil:
		return "unknown: " + s.Unfit.Error() + then
	case len(s.Doubt) > 0:
		return "unknown: a lockdown may have been evicted from the bucket (" + strings.Join(s.Doubt, ", ") + "): give it again, or lift it; only deciders accept visitors there"
	case s.Age < b.cfg.OrdersMaxAge:
		return "unknown: not read yet for all sites" + then
	default:
		return fmt.Sprintf("unknown: last read %s ago%s", s.Age.Round(time.Second), then)
	}
}

// orderLines tell about the orders for somebody who looks closer.
func (b *Broker) orderLines() []string {
	s := b.orders.Status()
	lines := []string{fmt.Sprintf("orders: from %s, as of %s", s.Source, s.AsOf.UTC().Format(time.RFC3339))}
	if len(s.Lost) > 0 {
		lines[0] += fmt.Sprintf(", and %d that are no longer in the bucket", len(s.Lost))
	}
	if !s.Known {
		lines = []string{"orders: " + b.unknown(s)}
	}
	for _, err := range []error{s.Err, s.KeptErr} {
		if err != nil {
			lines = append(lines, "orders: "+err.Error())
		}
	}
	for _, d := range s.Drift {
		lines = append(lines, fmt.Sprintf("orders: the bucket's %s is %s, expected %s", d.Field, d.Found, d.Wanted))
	}
	for _, err := range s.Invalid {
		lines = append(lines, "orders: "+err.Error())
	}
	for _, o := range s.Lost {
		lines = append(lines, fmt.Sprintf("orders: the %s of %s is no longer in the bucket, and stays in force until it is lifted; give it again so that relays that restart know it", o.Kind, siteName(o.Site)))
	}
	if s.Foreign > 0 {
		lines = append(lines, fmt.Sprintf("orders: %d keys of the bucket are for sites of other relays", s.Foreign))
	}
	for _, o := range inForce(b.orders) {
		lines = append(lines, fmt.Sprintf("orders: %s of %s in force, given by %q%s", o.Kind, siteName(o.Site), o.By, asUser(o)))
	}
	return lines
}

// inForce are the orders in force that are obeyed: an override only where the orders
// are known.
func inForce(w *orders.Watcher) (obeyed []visit.Order) {
	all, _ := w.Orders()
	for _, o := range all {
		_, known := w.OrdersAt(o.Site)
		if o.InForce(time.Now()) && (known || o.Kind == visit.OrderLockdown) {
			obeyed = append(obeyed, o)
		}
	}
	return obeyed
}

// asUser is who gave an order as NATS knows it.
func asUser(o visit.Order) string {
	if o.User == "" {
		return ""
	}
	return fmt.Sprintf(" as NATS user %q", o.User)
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
	ordersKnown  = prometheus.NewDesc("sine_relay_standing_orders_known", "1 while the standing orders of every site are known; at other sites no visitor is accepted without a decider.", nil, nil)
	ordersHeard  = prometheus.NewDesc("sine_relay_standing_orders_read_timestamp_seconds", "Time at which the standing orders were last read, 0 for never.", nil, nil)
	orderInForce = prometheus.NewDesc("sine_relay_standing_order_in_force", "1 for each lockdown and override in force; the site * stands for all sites.", []string{"type", "site"}, nil)
	orderEntries = prometheus.NewDesc("sine_relay_standing_order_entries", "Entries of the bucket of standing orders that need attention: invalid and deleted ones have no effect, lost are lockdowns that are no longer in the bucket, doubtful are keys from which a lockdown may have been evicted, foreign are keys of sites without an integration.", []string{"state"}, nil)
)

// Describe and Collect make it a prometheus.Collector.
func (g orderGauges) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{ordersKnown, ordersHeard, orderInForce, orderEntries} {
		c <- d
	}
}

func (g orderGauges) Collect(c chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	s := g.watcher.Status()
	gauge(ordersKnown, oneIf(s.Known))
	heard := 0.0
	if !s.AsOf.IsZero() {
		heard = float64(s.AsOf.UnixMilli()) / 1000
	}
	gauge(ordersHeard, heard)
	for state, n := range map[string]int{
		"invalid": s.InvalidCount, "deleted": s.DeletedCount, "lost": len(s.Lost), "doubtful": len(s.Doubt), "foreign": s.Foreign,
	} {
		gauge(orderEntries, float64(n), state)
	}
	for _, o := range inForce(g.watcher) {
		gauge(orderInForce, 1, string(o.Kind), o.Site)
	}
}
