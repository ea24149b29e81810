// Package connlimit bounds the connections of an HTTP server.
//
// It promises that no more connections are open at once than are allowed, and that
// those who fill them up keep nobody else out: whoever comes to a full listener is
// let in, and somebody who matters less is closed. A connection that has shown a
// valid key is closed last. While it is being answered it is closed only where its
// user has more of them than its share: who has one lobby's key does not keep out
// the others.
//
// What the server answers by itself, or ends without an answer, because it is not a
// request that it reads, is counted and logged here: no handler hears of it.
//
// It does not know what a valid key is, nor who uses it: the handler says so, by
// [Authenticated].
package connlimit

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/internal/logthrottle"
	"github.com/sine-relay/sine-relay/internal/share"
)

// Config says what a limiter bounds.
type Config struct {
	// Listener is what metrics and logs call it.
	Listener string
	// Max is how many connections may be open.
	Max int
	// HeaderLines is how many lines a request's header may have.
	HeaderLines int
	// HandshakeTimeout is how long a TLS handshake may take.
	HandshakeTimeout time.Duration
	// Logger and Registerer may be nil.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Reasons for which a connection is dropped.
const (
	// reasonUnauthenticated: it made room, and had shown no valid key.
	reasonUnauthenticated = "unauthenticated"
	// reasonIdle: it made room; it had shown a valid key and no request was on
	// its way.
	reasonIdle = "idle"
	// reasonShare: it made room while it was being answered, or while its next
	// request came, since its user had more of them than its share.
	reasonShare = "share"
	// reasonFull: it found no room, since all the others were being answered.
	reasonFull = "full"
)

var reasons = []string{reasonUnauthenticated, reasonIdle, reasonShare, reasonFull}

// Limiter bounds the connections of one server. It is safe for concurrent use.
type Limiter struct {
	config     Config
	metrics    metrics
	handshakes *semaphore
	logs       *logthrottle.Throttle
	closing    atomic.Bool // the server is shutting down

	mu   sync.Mutex
	open int
	// Those that may be closed are in one of two queues: unprotected ones from
	// the moment they connect, and authenticated ones while they are idle. An
	// authenticated one that is being answered is in neither, as long as its user
	// has no more of them than its share; beyond that it is unprotected.
	unprotected, idle queue
	protected         *share.Limiter
}

// New returns a limiter without connections.
func New(c Config) *Limiter {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	// Half of the processors are left to the connections that are being answered.
	l := &Limiter{
		config: c, handshakes: newSemaphore(max(1, runtime.GOMAXPROCS(0)/2)), logs: logthrottle.New(logInterval),
		unprotected: newQueue(), idle: newQueue(), protected: share.NewLimiter(int64(c.Max)),
	}
	l.metrics = newMetrics(c, l.Open)
	return l
}

// Open is how many connections there are.
func (l *Limiter) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// Among says how many users share the connections; without it, one has all.
func (l *Limiter) Among(users int) { l.protected.Among(users) }

// Max is how many there may be.
func (l *Limiter) Max() int { return l.config.Max }

// Attach lets the limiter know what the server does with its connections. The
// server must have its handler, and serve a listener that [Limiter.Listen] returned.
func (l *Limiter) Attach(s *http.Server) {
	s.Handler = markSeen(s.Handler)
	s.RegisterOnShutdown(func() { l.closing.Store(true) })
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, tracked(c))
	}
	s.ConnState = func(c net.Conn, state http.ConnState) {
		switch c := tracked(c); {
		case c == nil:
		case state == http.StateActive:
			// The header was read. Of one that came together with the request
			// before it the end was perhaps not seen, and what follows is a body.
			c.header.ended = true
			l.active(c)
		case state == http.StateIdle:
			// The server calls this where it reads: nobody else looks at
			// the header now.
			c.header = header{limit: c.header.limit}
			c.seen.Store(false)
			l.idling(c)
		case state == http.StateClosed:
			l.unanswered(c) // likewise, where no handler has seen the request
		}
	}
}

// unanswered counts a request of which only a part came, or which the server did not
// answer.
func (l *Limiter) unanswered(c *conn) {
	if !c.seen.Load() && c.header.started > 0 {
		c.invalid(c.reason(nil))
	}
}

// hasDropped reports whether a connection had to make room.
func (l *Limiter) hasDropped(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return c.dropped
}

type connKey struct{}

// Authenticated notes that a request with this context had a valid key of a user.
func Authenticated(ctx context.Context, user string) {
	if c, _ := ctx.Value(connKey{}).(*conn); c != nil {
		c.limiter.authenticate(c, user)
	}
}

// Listen returns a listener that accepts from socket, within the limit. With a
// configuration it speaks TLS.
func (l *Limiter) Listen(socket net.Listener, config *tls.Config) net.Listener {
	return &listener{Listener: socket, limiter: l, tls: l.limitHandshakes(config)}
}

type listener struct {
	net.Listener
	limiter *Limiter
	tls     *tls.Config
}

// Accept returns the next connection that there is room for.
func (s *listener) Accept() (net.Conn, error) {
	for {
		raw, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := newConn(s.limiter, raw)
		if !s.limiter.admit(c) {
			raw.Close()
			continue
		}
		if s.tls != nil {
			return c.encrypt(s.tls), nil
		}
		return c, nil
	}
}
