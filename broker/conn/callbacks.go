package conn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

// handlers follow what happens to the connection. nats.go calls them one after
// another, in the order of the events.
func (c *Conn) handlers() []nats.Option {
	return []nats.Option{
		nats.Name("sine-relay " + c.name),
		nats.ConnectHandler(func(nc *nats.Conn) { c.onConnect(nc, "connected to NATS") }),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			c.metrics.reconnects.WithLabelValues(c.name).Inc()
			c.onConnect(nc, "reconnected to NATS")
		}),
		nats.DisconnectErrHandler(c.onDisconnect),
		nats.CustomReconnectDelay(c.reconnectDelay),
		nats.LameDuckModeHandler(func(*nats.Conn) { c.onLameDuck() }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { c.onError(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.onError(err) }),
		nats.ClosedHandler(func(*nats.Conn) {
			c.metrics.setConnected(c.name, false)
			c.log.Info("connection to NATS closed")
		}),
	}
}

// followStatus fails all that is pending as soon as the connection drops. It ends
// when the connection is closed.
func (c *Conn) followStatus() {
	for status := range c.statuses {
		c.down()
		c.pending.fail(visit.ErrDisconnected)
		if status == nats.CLOSED {
			c.nc.RemoveStatusListener(c.statuses)
			return
		}
		// Until the first connect nats.go calls no handler when the server refused
		// the credentials.
		if err := c.nc.LastError(); needsPerson(err) && !c.wasConnected() {
			c.onError(err)
		}
		c.restoreUp()
	}
}

func (c *Conn) onConnect(nc *nats.Conn, text string) {
	// Rights may have changed; a refusal of the inbox follows at once if not.
	c.pending.admit()
	now := time.Now()
	c.connectedAt.Store(&now)
	c.moving.Store(false)
	server, id := c.noteServer(nc), nc.ConnectedServerId() // or empty, where it dropped again
	c.mu.Lock()
	c.made = true
	c.up.Store(true)
	c.next.Store(nil)
	c.ownServer = id
	c.announceConnect(id)
	c.refused, c.last = nil, LastError{}
	clear(c.logged)
	c.mu.Unlock()
	c.metrics.setConnected(c.name, true)
	c.log.Info(text, "server", server)
}

// noteServer takes in what the server says of itself.
func (c *Conn) noteServer(nc *nats.Conn) (server string) {
	server = nc.ConnectedUrlRedacted()
	if c.cfg.InProcess != nil {
		server = "in process" // where nats.go would name its default address
	}
	c.checkAuthentication(nc)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = server
	return server
}

func (c *Conn) onDisconnect(nc *nats.Conn, err error) {
	c.down()
	c.metrics.setConnected(c.name, c.Connected())
	if nc.IsClosed() {
		return
	}
	if c.next.Load() != nil {
		c.log.Info("disconnected from the NATS server that is shutting down")
		return
	}
	text := "closed by the server"
	if err != nil {
		text = err.Error()
	}
	c.mu.Lock()
	c.last = LastError{text, time.Now()}
	c.mu.Unlock()
	c.log.Warn("disconnected from NATS", "err", text)
}

func (c *Conn) onError(err error) {
	err = c.cfg.Explained(err)
	kind := errorKind(err)
	c.metrics.errors.WithLabelValues(c.name, kind).Inc()
	c.mu.Lock()
	c.last = LastError{err.Error(), time.Now()}
	if needsPerson(err) {
		c.refused = fmt.Errorf("connection %s: %w: %w", c.name, adviceFor(kind), err)
	}
	c.mu.Unlock()
	c.logOnce(kind, err)
	if kind == kindPermission {
		c.failDenied(err)
	}
}

// maxLogged bounds the log while the connection is away: errors may carry a port
// that is another one each time.
const maxLogged = 20

// logOnce logs an error once between two connects.
func (c *Conn) logOnce(kind string, err error) {
	text := err.Error()
	c.mu.Lock()
	again := c.logged[text] || len(c.logged) >= maxLogged
	c.logged[text] = c.logged[text] || !again
	c.mu.Unlock()
	if !again {
		c.log.Warn("NATS error", "kind", kind, "err", text)
	}
}

// UnauthenticatedText says what follows from a NATS that requires no authentication.
const UnauthenticatedText = "NATS requires no authentication: any client that reaches it can decide, acknowledge messages that are not stored, forge events, and give orders"

// Unauthenticated reports whether the server in use requires no authentication.
func (c *Conn) Unauthenticated() bool { return c.unauthenticated.Load() }

// checkAuthentication notes whether the server in use requires authentication.
func (c *Conn) checkAuthentication(nc *nats.Conn) {
	none := c.greeting.unauthenticated(nc)
	if c.unauthenticated.Swap(none) != none && none {
		c.log.Warn(UnauthenticatedText)
	}
}

// greeting reads what a server says of itself as a connection is made. What the
// client library keeps is replaced right after it, and then a server says that it
// asks although it lets in those who do not answer (nats-server 2.15, no_auth_user).
type greeting struct {
	received atomic.Bool // not over WebSocket, not in process, and not behind the TLS handshake
	open     atomic.Bool
	// certificate is set where one is shown before the greeting: whether the server
	// insists on it is not known, and is taken to be so.
	certificate bool
}

// dialTimeout is far below the budgets: behind an address that nothing replies at, as a
// cluster may advertise it, there is another one.
const dialTimeout = 500 * time.Millisecond

// Dial makes it a nats.CustomDialer.
func (g *greeting) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).Dial(network, address)
	if err != nil {
		return nil, err
	}
	g.received.Store(false)
	return &greetedConn{Conn: conn, greeting: g}, nil
}

// unauthenticated is about the connection that was made last.
func (g *greeting) unauthenticated(nc *nats.Conn) bool {
	if g.received.Load() {
		return g.open.Load()
	}
	return !nc.AuthRequired() && !g.certificate
}

// longestGreeting bounds what is kept of one.
const longestGreeting = 64 << 10

// greetedConn is a connection whose first line is read along.
type greetedConn struct {
	net.Conn
	greeting *greeting
	line     []byte
	done     bool
}

func (c *greetedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.done {
		return n, err
	}
	c.line = append(c.line, p[:n]...)
	line, _, whole := bytes.Cut(c.line, []byte("\n"))
	if whole {
		c.greeting.read(line)
	}
	if whole || len(c.line) > longestGreeting {
		c.done, c.line = true, nil
	}
	return n, err
}

// read takes in a line. A certificate that the server insists on is a way to
// authenticate.
func (g *greeting) read(line []byte) {
	text, isInfo := bytes.CutPrefix(line, []byte("INFO "))
	var info struct {
		AuthRequired bool `json:"auth_required"`
		TLSVerify    bool `json:"tls_verify"`
	}
	if isInfo && json.Unmarshal(text, &info) == nil {
		g.open.Store(!info.AuthRequired && !info.TLSVerify)
		g.received.Store(true)
	}
}
