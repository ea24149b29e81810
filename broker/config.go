package broker

import (
	"cmp"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/broker/outbox/spool"
	"github.com/sine-relay/sine-relay/broker/outbox/window"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/visit"
)

// Config says where NATS is and what the streams are like. Zero fields get the
// defaults.
type Config struct {
	NATS    dial.Config
	Streams streams.Config
	// Requests are the subjects of the check-in requests that will be sent, so that
	// their metrics exist from the start. Others may be sent, too.
	Requests []string
	// Orders is the bucket of the operator's standing orders, VISITOR_ORDERS by
	// default, and OrdersFile where the last known ones are kept; empty for
	// nowhere.
	Orders, OrdersFile string
	// OrderSites are the sites whose orders are followed, beside those of all
	// sites; nil for every site.
	OrderSites []string
	// OrdersMaxAge is for how long orders that were read count as known, 30 s by
	// default, and OverrideMaxDuration the longest that an override may last,
	// 24 h by default.
	OrdersMaxAge, OverrideMaxDuration time.Duration
	// Spool takes what NATS cannot take right now; nil for none. The broker
	// empties it while there is a connection, and does not close it.
	Spool *spool.Spool
	// Windows keep what NATS acknowledges before it syncs it, by root, and send it again
	// where NATS may have lost it. They need a spool. None where every message is synced.
	Windows map[visit.Root]*window.Window
	Logger  *slog.Logger
	// Registerer gets the broker's metrics; nil registers none.
	Registerer prometheus.Registerer
}

func (c Config) complete() (Config, error) {
	var ofNATS, ofStreams error
	c.NATS, ofNATS = c.NATS.WithDefaults()
	c.Streams, ofStreams = c.Streams.WithDefaults()
	c.Orders = cmp.Or(c.Orders, visit.DefaultOrderBucket)
	c.OrdersMaxAge = cmp.Or(c.OrdersMaxAge, 30*time.Second)
	c.OverrideMaxDuration = cmp.Or(c.OverrideMaxDuration, 24*time.Hour)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, errors.Join(ofNATS, ofStreams)
}

// ordersStream is the stream of the standing orders.
func (c Config) ordersStream() string { return "KV_" + c.Orders }

// watchConfig is how the standing orders are followed, but for what a relay adds.
func (c Config) watchConfig() orders.WatchConfig {
	return orders.WatchConfig{
		Bucket: c.Orders, Sites: c.OrderSites, MaxAge: c.OrdersMaxAge, MaxOverride: c.OverrideMaxDuration, Replicas: c.Streams.Replicas,
	}
}
