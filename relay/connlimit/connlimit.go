// Package connlimit bounds the connections of an HTTP server.
//
// It promises that no more connections are open at once than was said, and that
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
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/internal/share"
	"github.com/sine-relay/sine-relay/relay/clientip"
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
	config  Config
	metrics metrics
	turns   *turns
	invalid shown
	closing atomic.Bool // the server is shutting down

	mu   sync.Mutex
	open int
	// Those who may have to leave are in one of two queues: strangers from the
	// moment they connect, and the others while they are idle. Whoever has shown
	// a valid key and is being answered is in neither, as long as its user has
	// no more of them than its share; beyond that it is like a stranger.
	strangers, idle queue
	protected       *share.Limiter
	dropped         map[string]int // by reason, since it was last logged
	logged          time.Time
}

// New returns a limiter without connections.
func New(c Config) *Limiter {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	// Half of the processors are left to who is being answered.
	l := &Limiter{
		config: c, turns: newTurns(max(1, runtime.GOMAXPROCS(0)/2)),
		strangers: newQueue(), idle: newQueue(), protected: share.NewLimiter(int64(c.Max)), dropped: map[string]int{},
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

// Attach has the limiter told what the server does with its connections. The
// server must have its handler, and serve a listener that [Limiter.Listen] returned.
func (l *Limiter) Attach(s *http.Server) {
	s.Handler = seeing(s.Handler)
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
			c.header.over = true
			l.busy(c)
		case state == http.StateIdle:
			// The server calls this where it reads: nobody else looks at
			// the header now.
			c.header = header{limit: c.header.limit}
			c.seen.Store(false)
			l.rest(c)
		case state == http.StateClosed:
			l.ended(c) // likewise, where no handler has seen the request
		}
	}
}

// ended counts a request of which only a part came, or which the server did not
// answer.
func (l *Limiter) ended(c *conn) {
	if !c.seen.Load() && c.header.kept > 0 {
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
		c.limiter.trust(c, user)
	}
}

// Listen returns a listener that accepts from socket, within the limit. With a
// configuration it speaks TLS.
func (l *Limiter) Listen(socket net.Listener, config *tls.Config) net.Listener {
	return &listener{Listener: socket, limiter: l, tls: l.inTurn(config)}
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

// admit makes room for one more and counts it in, or reports that there is none.
func (l *Limiter) admit(c *conn) bool {
	l.mu.Lock()
	var victim *conn
	var reason string
	if l.open >= l.config.Max {
		if victim, reason = l.victim(); victim != nil {
			l.remove(victim)
			victim.dropped = true
		}
	}
	admitted := l.open < l.config.Max
	if admitted {
		l.open++
		l.strangers.push(c)
	}
	l.mu.Unlock()
	if reason != "" {
		l.drop(reason)
	}
	if victim != nil {
		// The socket itself: over TLS a farewell would be written first, while
		// somebody else waits to be let in.
		victim.raw.Close()
	}
	return admitted
}

// victim is who leaves when one more comes, and why. It belongs to the address
// that has most of its sort, and is the one of it that came first or is idle for
// longest: whoever floods the listener closes its own connections, and where a
// proxy stands for all, the oldest, which had the longest time to show a key.
//
// A quarter is for those who have shown none yet. Without it, idle connections
// with a key could leave so little that newcomers close one another before they
// come to show theirs.
func (l *Limiter) victim() (*conn, string) {
	switch {
	case l.idle.len > 0 && l.strangers.len < l.config.Max/4:
		return l.idle.first(), reasonIdle
	case l.strangers.len > 0:
		c := l.strangers.first()
		if c.authenticated {
			return c, reasonShare
		}
		return c, reasonUnauthenticated
	default:
		return nil, reasonFull
	}
}

// trust protects a connection while it is being answered, if its user has a share
// left.
func (l *Limiter) trust(c *conn, user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.left || c.held != nil && c.user == user {
		return
	}
	l.forgo(c) // a proxy's connection may be used for several
	c.authenticated, c.user = true, user
	l.protect(c)
}

// protect is for a connection whose user is known. It needs the lock.
func (l *Limiter) protect(c *conn) {
	held, ok := l.protected.TryAcquire(c.user, 1)
	switch {
	case ok:
		c.held = &held
		l.strangers.remove(c)
	case c.queue == nil:
		l.strangers.push(c)
	}
}

// rest notes that no request is on its way.
func (l *Limiter) rest(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !c.authenticated || c.left {
		return
	}
	l.forgo(c)
	l.strangers.remove(c)
	if c.queue == nil {
		l.idle.push(c)
		c.waits.Store(true)
	}
}

// busy notes that a request has begun to come. Until it shows a key it counts for
// who used the connection last: half a header has a share, too.
func (l *Limiter) busy(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.queue == &l.idle {
		l.idle.remove(c)
		c.waits.Store(false)
		l.protect(c)
	}
}

// forgo ends a connection's protection. It needs the lock.
func (l *Limiter) forgo(c *conn) {
	if c.held != nil {
		c.held.Release()
		c.held = nil
	}
}

// leave counts a connection out.
func (l *Limiter) leave(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(c)
}

// remove is for who holds the lock. A connection leaves once.
func (l *Limiter) remove(c *conn) {
	if c.left {
		return
	}
	c.left = true
	c.end()
	l.open--
	l.forgo(c)
	l.strangers.remove(c)
	l.idle.remove(c)
}

// between is the time between two log lines of one kind.
const between = time.Minute

// drop counts one that had to leave, and logs from time to time.
func (l *Limiter) drop(reason string) {
	l.metrics.dropped.WithLabelValues(reason).Inc()
	l.mu.Lock()
	l.dropped[reason]++
	due := time.Since(l.logged) >= between
	all := l.dropped
	if due {
		l.logged, l.dropped = time.Now(), map[string]int{}
	}
	l.mu.Unlock()
	if !due {
		return
	}
	l.config.Logger.Warn("connections were closed: no more may be open", "listener", l.config.Listener, "max", l.config.Max,
		reasonUnauthenticated, all[reasonUnauthenticated], reasonIdle, all[reasonIdle], reasonShare, all[reasonShare], reasonFull, all[reasonFull])
}

// owner is whom a connection belongs to.
func owner(c net.Conn) netip.Addr {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{} // as on a Unix socket
	}
	return clientip.Client(at.Addr())
}
