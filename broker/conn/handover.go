package conn

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
)

const (
	// leaveWait is for how long replies are waited for on a connection to a server that
	// is taken down. It is shorter than the ten seconds after which that closes its first
	// connection. bridgeWait is for how long they are waited for on the bridge, whose
	// server stays: six times the default write timeout, which every budget is below.
	leaveWait  = 9 * time.Second
	bridgeWait = time.Minute
	// handOverPoll is how often it is checked whether any are pending, and bridgePause
	// is between two attempts to reach another server.
	handOverPoll = 5 * time.Millisecond
	bridgePause  = time.Second
	// reconnectGrace is for how long after a connection dropped a request waits for
	// it to be back, and "no responders" is not believed: deciders connect anew, too.
	// In a cluster both take milliseconds.
	reconnectGrace = time.Second
	// dropPoll is how soon it is noticed that a connection which refused a message did
	// drop.
	dropPoll = 5 * time.Millisecond
)

// onLameDuck is called when the server in use says that it will be taken down (lame
// duck mode), which it may say again. The next connect is to another one.
func (c *Conn) onLameDuck() {
	if !c.isBridge && c.moving.CompareAndSwap(false, true) {
		go c.handOver(c.NextConnect())
	}
}

// handOver moves to another server. nats.go would close the connection and make another,
// and what is on its way between would be lost. So a second connection, the bridge, is
// made before, and is used until the first one is on another server. Each of the two
// is left when nothing is pending on it: the first one no later than its server closes it.
func (c *Conn) handOver(connected <-chan struct{}) {
	c.log.Info("the NATS server is shutting down", "server", c.Server())
	bridge := c.bridge(connected)
	if bridge == nil {
		return // the server closes the connection, and it is made again
	}
	defer bridge.Close()
	connected = c.moveTo(bridge, connected)
	if connected == nil {
		return // it was made again meanwhile
	}
	c.awaitReplies(c.pending, leaveWait)
	c.leave(connected)
	c.awaitReplies(bridge.pending, bridgeWait)
}

// moveTo has the bridge used until the next connect, unless there was one meanwhile. To
// those who follow the server in use that is a connect, too: NextConnect is closed, and
// the one to come is returned.
func (c *Conn) moveTo(bridge *Conn, connected <-chan struct{}) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.connected != connected {
		return nil
	}
	c.next.Store(bridge)
	c.beginGrace()
	c.announceConnect(bridge.nc.ConnectedServerId())
	return c.connected
}

// leave has nats.go connect to another server, unless the one in use was faster.
func (c *Conn) leave(connected <-chan struct{}) {
	select {
	case <-connected:
		return
	default:
	}
	if c.up.Load() {
		c.nc.ForceReconnect()
	}
	select {
	case <-connected:
	case <-c.ended.Done():
	}
}

// bridge makes a second connection, or returns nil when the first one dropped before.
func (c *Conn) bridge(connected <-chan struct{}) *Conn {
	for c.up.Load() {
		for _, urls := range []string{c.urls, c.pool()} {
			if b := c.bridgeTo(urls); b != nil {
				return b
			}
		}
		select {
		case <-time.After(bridgePause):
		case <-connected:
			return nil
		case <-c.ended.Done():
			return nil
		}
	}
	return nil
}

func (c *Conn) bridgeTo(urls string) *Conn {
	b := newConn(c.cfg, Options{Name: c.name, Logger: slog.New(slog.DiscardHandler), Metrics: NewMetrics(nil), Observer: c.observer})
	b.isBridge = true
	err := b.dial(urls, slices.Concat(c.options, []nats.Option{nats.RetryOnFailedConnect(false)}))
	if err == nil && b.up.Load() && b.nc.FlushTimeout(dial.WriteTimeout) == nil { // the server has the inbox
		return b
	}
	b.Close()
	return nil
}

// pool are the addresses that nats.go knows of, advertised ones included.
func (c *Conn) pool() string {
	var urls []string
	for _, server := range c.nc.ServerPool() {
		urls = append(urls, server.URL.String())
	}
	return strings.Join(urls, ",")
}

// awaitReplies waits until nothing is pending, but not for ever.
func (c *Conn) awaitReplies(p *pending, limit time.Duration) {
	ctx, cancel := context.WithTimeout(c.ended, limit)
	defer cancel()
	p.awaitEmpty(ctx)
}

// awaitEmpty waits until nothing is pending, or ctx ends.
func (p *pending) awaitEmpty(ctx context.Context) {
	tick := time.NewTicker(handOverPoll)
	defer tick.Stop()
	for !p.empty() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// current is the connection to send by.
func (c *Conn) current() *Conn {
	if next := c.next.Load(); next != nil && next.up.Load() {
		return next
	}
	return c
}

// down notes that the connection dropped.
func (c *Conn) down() {
	if c.up.Swap(false) {
		c.beginGrace()
	}
}

func (c *Conn) beginGrace() {
	now := time.Now()
	c.leftAt.Store(&now)
}

// InGrace reports whether the connection dropped or moved a moment ago, so that others
// may still be connecting anew, or the server just started and does not know of them yet.
func (c *Conn) InGrace() bool { return c.graceLeft() > 0 }

// graceLeft is for how much longer others may be connecting anew, or not positive.
func (c *Conn) graceLeft() time.Duration {
	if left := c.leftAt.Load(); left != nil {
		return reconnectGrace - time.Since(*left)
	}
	return 0
}

// Regained waits until it is worth another attempt to send, and reports false when
// the connection is not back soon.
func (c *Conn) Regained(ctx context.Context) bool {
	connected := c.NextConnect()
	if c.closed.Load() {
		return false
	}
	wait, up := c.graceLeft(), c.Connected()
	if up {
		wait = dropPoll
	}
	if wait <= 0 {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-connected:
		return true
	case <-timer.C:
		return up || c.Connected()
	case <-ctx.Done():
		return false
	}
}

// reconnectDelay is the pause before all servers are tried again. Where one name
// stands for several servers, nats.go knows one and would pause before the first try:
// that is at once, unless the connection was made a moment ago and may drop again.
func (c *Conn) reconnectDelay(round int) time.Duration {
	made := c.connectedAt.Load()
	if round <= 1 && made != nil && time.Since(*made) > reconnectGrace {
		return 0
	}
	return dial.ReconnectWait + rand.N(dial.ReconnectJitter)
}
