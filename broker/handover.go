package broker

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// handOverWait is for how long answers are waited for on a connection that is
	// given up. It is longer than the default budgets, and shorter than the ten
	// seconds after which a server that is taken down closes its first connection.
	handOverWait = 3 * time.Second
	// handOverPoll is how often it is seen whether there are any, and bridgePause is
	// between two tries to reach another server.
	handOverPoll = 5 * time.Millisecond
	bridgePause  = time.Second
)

// handOver moves to another server when the one in use says that it will be taken
// down (lame duck mode). nats.go would close the connection and make another, and
// what is on its way between would be lost. So a second connection, the bridge, is
// made before, and is used until the first one is on another server. Each of the two
// is left when nothing waits for an answer on it.
func (l *link) handOver() {
	if l.isBridge || !l.moving.CompareAndSwap(false, true) {
		return
	}
	defer l.moving.Store(false)
	up := l.connected()
	l.log.Info("the NATS server is shutting down", "server", l.serverInUse())
	bridge := l.bridge(up)
	if bridge == nil {
		return // the server closes the connection, and it is made again
	}
	defer bridge.close()
	l.next.Store(bridge)
	l.settle(l.waiting)
	l.leave(up)
	l.next.Store(nil)
	l.settle(bridge.waiting)
}

// leave has nats.go connect to another server, unless the one in use was faster.
func (l *link) leave(up <-chan struct{}) {
	select {
	case <-up:
		return
	default:
	}
	if l.live.Load() {
		l.nc.ForceReconnect()
	}
	select {
	case <-up:
	case <-l.ended.Done():
	}
}

// bridge makes a second connection, or returns nil when the first one dropped before.
func (l *link) bridge(up <-chan struct{}) *link {
	for l.live.Load() {
		for _, urls := range []string{l.urls, l.pool()} {
			if b := l.bridgeTo(urls); b != nil {
				return b
			}
		}
		select {
		case <-time.After(bridgePause):
		case <-up:
			return nil
		case <-l.ended.Done():
			return nil
		}
	}
	return nil
}

func (l *link) bridgeTo(urls string) *link {
	b := newLink(l.name, slog.New(slog.DiscardHandler), newMetrics(Config{}))
	b.hears, b.repeated = l.hears, l.repeated
	b.isBridge = true
	b.secured(l.tls)
	err := b.dial(urls, l.prefix, slices.Concat(l.options, []nats.Option{nats.RetryOnFailedConnect(false)}))
	if err == nil && b.live.Load() && b.nc.FlushTimeout(writeTimeout) == nil { // the server has the inbox
		return b
	}
	b.close()
	return nil
}

// pool are the addresses that nats.go knows of, advertised ones included.
func (l *link) pool() string {
	var urls []string
	for _, server := range l.nc.ServerPool() {
		urls = append(urls, server.URL.String())
	}
	return strings.Join(urls, ",")
}

// settle waits until nobody waits for an answer, but not for ever.
func (l *link) settle(w *waiting) {
	ctx, cancel := context.WithTimeout(l.ended, handOverWait)
	defer cancel()
	tick := time.NewTicker(handOverPoll)
	defer tick.Stop()
	for !w.empty() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// current is the connection to send by.
func (l *link) current() *link {
	if next := l.next.Load(); next != nil && next.live.Load() {
		return next
	}
	return l
}

// stands reports whether messages can be sent.
func (l *link) stands() bool { return l.current().live.Load() }
