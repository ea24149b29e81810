package connlimit

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/sine-relay/sine-relay/internal/clientip"
	"github.com/sine-relay/sine-relay/internal/share"
)

// conn is one connection. What the server reads and writes goes through it.
type conn struct {
	net.Conn          // the raw one, or TLS over it
	raw      net.Conn // what is closed to make room
	limiter  *Limiter
	owner    netip.Addr
	header   header
	ctx      context.Context // ends when it is counted out
	cancel   context.CancelFunc

	// The limiter's lock guards these.
	authenticated bool
	user          string             // whose key it showed last
	share         *share.Reservation // while it is protected
	gone, dropped bool
	queue         *queue // that it is in, or nil
	element       *list.Element
	seq           uint64
	// seen is set once the handler sees the request that came, or it was counted as
	// one that the handler does not see.
	seen atomic.Bool
	// isIdle is set while it is in the idle queue, for readers without the lock.
	isIdle atomic.Bool
}

func newConn(l *Limiter, raw net.Conn) *conn {
	c := &conn{Conn: raw, raw: raw, limiter: l, owner: owner(raw), header: header{limit: l.config.HeaderLines}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// owner is whom a connection belongs to.
func owner(c net.Conn) netip.Addr {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{} // as on a Unix socket
	}
	return clientip.Client(at.Addr())
}

// tracked returns the connection that the server was given, or nil where it came
// from elsewhere.
func tracked(c net.Conn) *conn {
	switch c := c.(type) {
	case *conn:
		return c
	case *encrypted:
		return c.conn
	default:
		return nil
	}
}

var errHeaderLines = errors.New("the header has too many lines")

// Read looks at what comes. A kept connection is active as soon as the first byte
// of its next request is there: the server says so only once it has the whole
// header.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.isIdle.Load() {
		c.limiter.active(c)
	}
	if !c.header.add(p[:n]) {
		return 0, errHeaderLines
	}
	if err != nil && !c.header.ended {
		c.header.truncated = true
	}
	return n, err
}

// Write notices when the server answers a request that the handler does not see.
func (c *conn) Write(p []byte) (int, error) {
	if !c.seen.Load() {
		c.invalid(c.reason(p))
	}
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	c.limiter.forget(c)
	return c.Conn.Close()
}

// CloseWrite is what the server calls before it closes a connection of which it
// did not read everything: otherwise the answer would be lost on its way.
func (c *conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	return half.CloseWrite()
}

// header counts the lines of a request's header. The server bounds its bytes, and
// each line of three bytes costs it two hundred.
type header struct {
	limit, lines int
	filled       bool // the line that is being read is not empty
	ended        bool
	complete     bool // its end was seen
	truncated    bool // the connection ended before
	start        [8]byte
	started      int // bytes of start
}

// add reports false when there are too many lines. What follows the header is
// not looked at.
func (h *header) add(p []byte) bool {
	if h.ended {
		return true
	}
	h.started += copy(h.start[h.started:], p)
	for {
		line, rest, whole := bytes.Cut(p, lineEnd)
		h.filled = h.filled || len(bytes.Trim(line, "\r")) > 0
		switch {
		case !whole:
			return true
		case h.filled:
			h.lines, h.filled = h.lines+1, false
		case h.lines > 0: // before the first line, empty ones mean nothing
			h.ended, h.complete = true, true
			return true
		}
		if h.lines > h.limit {
			return false
		}
		p = rest
	}
}

var lineEnd = []byte("\n")
