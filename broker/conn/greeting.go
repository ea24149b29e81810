package conn

import (
	"bytes"
	"encoding/json"
	"net"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

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
