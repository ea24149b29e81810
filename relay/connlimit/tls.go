package connlimit

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// encrypted is a connection with TLS. The server must not see that there is a
// [tls.Conn], or it would read from that and not from us; it takes what has a
// ConnectionState for encrypted, and asks for it before it reads anything.
type encrypted struct {
	*conn
	tls    *tls.Conn
	socket *handshakeSocket
}

// handshakeSocket is the socket below TLS. It holds the semaphore from the client's
// hello until the client is to send again: the computing is in between, and a client
// that goes on to send nothing must not hold it meanwhile.
type handshakeSocket struct {
	net.Conn
	semaphore *semaphore
	acquired  bool
	received  bool // anything at all
}

func (h *handshakeSocket) Read(p []byte) (int, error) {
	h.release()
	n, err := h.Conn.Read(p)
	h.received = h.received || n > 0
	return n, err
}

func (h *handshakeSocket) release() {
	if h.acquired {
		h.acquired = false
		h.semaphore.release()
	}
}

// limitHandshakes returns the configuration for a listener whose handshakes need the
// semaphore.
func (l *Limiter) limitHandshakes(config *tls.Config) *tls.Config {
	if config == nil {
		return nil
	}
	config = config.Clone()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		h := hello.Conn.(*handshakeSocket)
		err := h.semaphore.acquire(hello.Context(), owner(h))
		h.acquired = err == nil
		return nil, err
	}
	return config
}

func (c *conn) encrypt(config *tls.Config) *encrypted {
	e := &encrypted{conn: c, socket: &handshakeSocket{Conn: c.raw, semaphore: c.limiter.handshakes}}
	e.tls = tls.Server(e.socket, config)
	c.Conn = e.tls
	return e
}

// ConnectionState does the handshake, within the time that there is for it.
func (e *encrypted) ConnectionState() tls.ConnectionState {
	ctx, cancel := context.WithTimeout(e.ctx, e.limiter.config.HandshakeTimeout)
	defer cancel()
	e.tls.SetDeadline(time.Now().Add(e.limiter.config.HandshakeTimeout))
	err := e.tls.HandshakeContext(ctx)
	e.socket.release()
	e.tls.SetDeadline(time.Time{})
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) && plain.Conn != nil && looksLikeHTTP(plain.RecordHeader) {
		io.WriteString(plain.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
	}
	if err != nil && e.socket.received && e.ctx.Err() == nil {
		e.invalid(handshakeReason(err))
	}
	if err != nil {
		e.seen.Store(true)
		e.raw.Close() // what the server reads next fails at once
	}
	return e.tls.ConnectionState()
}

// handshakeReason is why a handshake failed.
func handshakeReason(err error) string {
	var plain tls.RecordHeaderError
	if !errors.As(err, &plain) {
		return invalidHandshake
	}
	if looksLikeHTTP(plain.RecordHeader) {
		return invalidPlain
	}
	return cmp.Or(otherProtocol(plain.RecordHeader[:]), invalidHandshake)
}

// looksLikeHTTP distinguishes http in place of https in a URL from noise.
func looksLikeHTTP(begin [5]byte) bool {
	return slices.Contains([]string{"GET /", "HEAD ", "POST ", "PUT /", "OPTIO"}, string(begin[:]))
}

// semaphore bounds how many TLS handshakes are computed at once. Without a bound, a
// flood of them would take all processors from the requests that are being answered.
//
// It serves the waiting addresses in turn, so that who floods waits for itself. Of one
// address the newest is first: the oldest is the next that is closed to make room.
type semaphore struct {
	mu      sync.Mutex
	free    int
	owners  []netip.Addr // that wait, in the order in which they are served, each once
	waiting map[netip.Addr][]chan struct{}
}

func newSemaphore(n int) *semaphore {
	return &semaphore{free: n, waiting: map[netip.Addr][]chan struct{}{}}
}

// acquire returns when the caller may compute, until it calls release, or with the
// error of ctx.
func (s *semaphore) acquire(ctx context.Context, owner netip.Addr) error {
	s.mu.Lock()
	if s.free > 0 {
		s.free--
		s.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	if len(s.waiting[owner]) == 0 {
		s.owners = append(s.owners, owner)
	}
	s.waiting[owner] = append(s.waiting[owner], mine)
	s.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	if !s.withdraw(owner, mine) {
		s.release() // it was acquired at the same moment
	}
	return ctx.Err()
}

// withdraw reports false when it was acquired already.
func (s *semaphore) withdraw(owner netip.Addr, mine chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting[owner], mine)
	if i < 0 {
		return false
	}
	s.keep(owner, slices.Delete(s.waiting[owner], i, i+1))
	if len(s.waiting[owner]) == 0 {
		s.owners = slices.DeleteFunc(s.owners, func(o netip.Addr) bool { return o == owner })
	}
	return true
}

// keep needs the lock.
func (s *semaphore) keep(owner netip.Addr, left []chan struct{}) {
	if len(left) == 0 {
		delete(s.waiting, owner)
		return
	}
	s.waiting[owner] = left
}

// release lets the next compute.
func (s *semaphore) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.owners) == 0 {
		s.free++
		return
	}
	owner := s.owners[0]
	s.owners = s.owners[1:]
	all := s.waiting[owner]
	newest := all[len(all)-1]
	s.keep(owner, all[:len(all)-1])
	if len(all) > 1 {
		s.owners = append(s.owners, owner)
	}
	close(newest)
}
