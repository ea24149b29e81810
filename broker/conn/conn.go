// Package conn is one connection to NATS with an inbox of its own.
//
// It promises that waiting for a reply ends as soon as its end can be known: with the
// reply, when the connection drops, or when NATS refuses the subject or the inbox; and
// that nothing is kept to be sent later, with one exception: what was handed to a
// peer that reads nothing may leave up to a second after its deadline, because a write
// cannot be called back. It moves to another server before the one in use is shut
// down.
//
// What messages mean is left to others: it knows no stream and no decider.
package conn

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
)

// Conn is one connection, its inbox, and the replies that are awaited in it. It is
// safe for concurrent use.
//
// The inbox is our own because nats.go's request waits out its time when the
// connection drops, and lets a late reply vanish without a trace; its
// PublishMsgAsync retries behind the caller's back and forgets the
// acknowledgement of an attempt once it has timed out.
type Conn struct {
	name     string
	cfg      dial.Config
	log      *slog.Logger
	metrics  *Metrics
	observer *Observer
	pending  *pending
	outgoing *collector

	nc       *nats.Conn
	inbox    string // prefix of the reply subjects, with its dot
	statuses chan nats.Status

	// up is whether the connection stands. Asking nats.go would not do: it
	// holds its lock while it shakes hands, for a second with a peer that
	// accepts connections and sends nothing.
	up, closed atomic.Bool
	ended      context.Context // when it is closed
	end        context.CancelFunc
	// next is used in place of this one while it moves to another server.
	next atomic.Pointer[Conn]
	// moving is set from the notice that the server will be taken down until the next
	// connect.
	moving atomic.Bool
	// isBridge is set where this is such a one.
	isBridge bool
	urls     string
	// options are those of the connection, but for its own handlers.
	options []nats.Option

	leftAt      atomic.Pointer[time.Time] // when a server was last left, or closed the connection
	connectedAt atomic.Pointer[time.Time] // when it was last made

	greeting        greeting
	unauthenticated atomic.Bool

	mu        sync.Mutex
	connected chan struct{} // closed and replaced at each connect
	serverID  string        // of the server in use as of the last of these
	ownServer string        // of the one that onConnect was called for
	made      bool          // connected at least once
	refused   error         // why a person must help before it can connect
	last      LastError
	server    string          // the last that was connected to
	logged    map[string]bool // errors since the last connect
}

// Options are what differs between the connections of one configuration.
type Options struct {
	// Name of the connection in the log, the metrics and NATS' monitoring.
	Name    string
	Logger  *slog.Logger
	Metrics *Metrics
	// Observer is called with replies that are not awaited, or do not count. Nil
	// ignores them.
	Observer *Observer
}

// LastError is an error of a connection, and when it came.
type LastError struct {
	Text string
	At   time.Time
}

// restoreUp takes back that the connection dropped, where it was made again before that was
// noted. It may wait for a handshake. With a server for which onConnect was not called yet,
// the connection is not up: those who wait for the next connect must hear of it before
// anything is sent.
func (c *Conn) restoreUp() {
	if c.nc.IsConnected() && !c.isUnannounced() {
		c.up.Store(true)
	}
}

// isUnannounced reports whether nats.go is connected to a server for which onConnect was not
// called yet. It may wait for a handshake.
func (c *Conn) isUnannounced() bool {
	c.mu.Lock()
	known := c.ownServer
	c.mu.Unlock()
	id := c.nc.ConnectedServerId()
	return known != "" && id != "" && id != known
}

// JetStream is a client on the connection.
func (c *Conn) JetStream() (jetstream.JetStream, error) { return jetstream.New(c.nc) }

// MaxPayload is NATS' limit in bytes, or 0 while it is unknown.
func (c *Conn) MaxPayload() int64 { return c.nc.MaxPayload() }

// Connected reports whether messages can be sent.
func (c *Conn) Connected() bool { return c.current().up.Load() }

// NextConnect is closed at the next connect, and when the connection moves to another
// server by a second one.
func (c *Conn) NextConnect() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.connected
}

// announceConnect is called with the lock held.
func (c *Conn) announceConnect(serverID string) {
	c.serverID = serverID
	close(c.connected)
	c.connected = make(chan struct{})
}

// Server is the URL of the server in use, without password, or "in process", or empty.
func (c *Conn) Server() string {
	c = c.current()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.up.Load() {
		return ""
	}
	return c.server
}

// InUse returns what identifies the process of the server in use, and NextConnect: the two
// belong together. A server that starts anew is another one. The id is empty where there was
// no connection yet.
func (c *Conn) InUse() (serverID string, next <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.serverID, c.connected
}

// State returns the last error since the connection was last made, and what only a
// person can mend.
func (c *Conn) State() (last LastError, fault error) {
	c.mu.Lock()
	refused, last := c.refused, c.last
	c.mu.Unlock()
	if c.up.Load() {
		// A line about the refusal may come after the connection was made.
		refused = nil
	}
	if inbox := c.pending.refusal(); refused == nil && inbox != nil {
		refused = fmt.Errorf("connection %s: %w", c.name, inbox)
	}
	return last, refused
}

func (c *Conn) wasConnected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made
}

// Flush waits until the server has everything that was sent, or for a moment. What it
// then does not have was not promised: a promise follows a reply.
func (c *Conn) Flush(ctx context.Context) error {
	c = c.current()
	if !c.up.Load() {
		return nil // and so nothing is buffered
	}
	waiting, cancel := context.WithTimeout(ctx, dial.WriteTimeout)
	defer cancel()
	err := c.nc.FlushWithContext(waiting)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("flush the %s connection: %w", c.name, err)
	}
	if err != nil {
		c.log.Warn("not flushed", "err", err.Error())
	}
	return nil
}

// Close disconnects for good. What is pending fails.
func (c *Conn) Close() {
	c.closed.Store(true)
	c.end()
	if next := c.next.Load(); next != nil {
		next.Close()
	}
	if c.nc != nil {
		c.nc.Close()
	}
}

// Metrics are those of the connections of one relay.
type Metrics struct {
	connected  *prometheus.GaugeVec
	reconnects *prometheus.CounterVec
	errors     *prometheus.CounterVec
}

// NewMetrics registers the metrics of connections of these names; nil registers none.
func NewMetrics(reg prometheus.Registerer, names ...string) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		connected: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sine_relay_nats_connected",
			Help: "1 while connected to NATS.",
		}, []string{"connection"}),
		reconnects: f.NewCounterVec(prometheus.CounterOpts{
			Name: "sine_relay_nats_reconnects_total",
			Help: "Reconnections to NATS.",
		}, []string{"connection"}),
		errors: f.NewCounterVec(prometheus.CounterOpts{
			Name: "sine_relay_nats_errors_total",
			Help: "Errors of a connection to NATS, including failed attempts to connect.",
		}, []string{"connection", "reason"}),
	}
	for _, name := range names {
		m.connected.WithLabelValues(name)
		m.reconnects.WithLabelValues(name)
		for _, kind := range errorKinds {
			m.errors.WithLabelValues(name, kind)
		}
	}
	return m
}

func (m *Metrics) setConnected(name string, up bool) {
	value := 0.0
	if up {
		value = 1
	}
	m.connected.WithLabelValues(name).Set(value)
}
