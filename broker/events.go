package broker

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/internal/natsperm"
	"github.com/sine-relay/sine-relay/visit"
)

// handlers follow what happens to the connection. nats.go calls them one after
// another, in the order of the events.
func (l *link) handlers() []nats.Option {
	return []nats.Option{
		nats.Name("sine-relay " + l.name),
		nats.ConnectHandler(func(nc *nats.Conn) { l.onConnect(nc, "connected to NATS") }),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			l.metrics.reconnects.WithLabelValues(l.name).Inc()
			l.onConnect(nc, "reconnected to NATS")
		}),
		nats.DisconnectErrHandler(l.onDisconnect),
		nats.CustomReconnectDelay(l.reconnectDelay),
		nats.LameDuckModeHandler(func(*nats.Conn) { go l.handOver() }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { l.onError(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.onError(err) }),
		nats.ClosedHandler(func(*nats.Conn) {
			l.metrics.connected.WithLabelValues(l.name).Set(0)
			l.log.Info("connection to NATS closed")
		}),
	}
}

// followStatus fails everybody who waits as soon as the connection drops. It
// ends when the connection is closed.
func (l *link) followStatus() {
	for status := range l.statuses {
		l.down()
		l.waiting.fail(visit.ErrDisconnected)
		if status == nats.CLOSED {
			l.nc.RemoveStatusListener(l.statuses)
			return
		}
		// Until the first connect nats.go tells no handler that the server
		// refused the credentials.
		if err := l.nc.LastError(); isRefusal(err) && !l.wasConnected() {
			l.onError(err)
		}
		l.look() // it may have been made again meanwhile
	}
}

func (l *link) onConnect(nc *nats.Conn, text string) {
	server := nc.ConnectedUrlRedacted()
	if l.inProcess {
		server = "in process" // where nats.go would name its default address
	}
	// Rights may have changed; a refusal of the inbox follows at once if not.
	l.waiting.admit()
	now := time.Now()
	l.connectedAt.Store(&now)
	l.live.Store(true)
	l.asks(nc)
	l.mu.Lock()
	close(l.up)
	l.up, l.made = make(chan struct{}), true
	l.refused, l.lastErr, l.server = nil, connError{}, server
	clear(l.told)
	l.mu.Unlock()
	l.metrics.connected.WithLabelValues(l.name).Set(1)
	l.log.Info(text, "server", server)
}

func (l *link) onDisconnect(nc *nats.Conn, err error) {
	l.down()
	l.metrics.connected.WithLabelValues(l.name).Set(oneIf(l.stands()))
	if nc.IsClosed() {
		return
	}
	if l.next.Load() != nil {
		l.log.Info("disconnected from the NATS server that is shutting down")
		return
	}
	text := "closed by the server"
	if err != nil {
		text = err.Error()
	}
	l.mu.Lock()
	l.lastErr = connError{text, time.Now()}
	l.mu.Unlock()
	l.log.Warn("disconnected from NATS", "err", text)
}

func (l *link) onError(err error) {
	err = l.tls.explained(err)
	kind := errorKind(err)
	l.metrics.errors.WithLabelValues(l.name, kind).Inc()
	l.mu.Lock()
	l.lastErr = connError{err.Error(), time.Now()}
	if isRefusal(err) {
		l.refused = fmt.Errorf("connection %s: %w: %w", l.name, refusalOf(kind), err)
	}
	l.mu.Unlock()
	l.tell(kind, err)
	if kind == kindPermission {
		l.deny(err)
	}
}

// deny resolves those whom a permission violation concerns. It arrives here and
// nowhere else, while they would wait out their time.
func (l *link) deny(err error) {
	v, ok := natsperm.Parse(err)
	switch {
	case !ok:
	case v.Operation == natsperm.Publish:
		l.waiting.failSubject(v.Subject, visit.ErrDenied)
	default: // all that is subscribed to is inboxes
		l.waiting.refuse(fmt.Errorf("%w: inbox %s; allow the relay's user to subscribe to %s.>", visit.ErrDenied, v.Subject, l.prefix))
	}
}

// maxTold bounds the log while the connection is away: errors may carry a port
// that is another one each time.
const maxTold = 20

// tell logs an error once between two connects.
func (l *link) tell(kind string, err error) {
	text := err.Error()
	l.mu.Lock()
	again := l.told[text] || len(l.told) >= maxTold
	l.told[text] = l.told[text] || !again
	l.mu.Unlock()
	if !again {
		l.log.Warn("NATS error", "kind", kind, "err", text)
	}
}
