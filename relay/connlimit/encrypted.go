package connlimit

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"time"
)

// encrypted is a connection with TLS. The server must not see that there is a
// [tls.Conn], or it would read from that and not from us; it takes what has a
// ConnectionState for encrypted, and asks for it before it reads anything.
type encrypted struct {
	*conn
	tls       *tls.Conn
	handshake *handshake
}

// handshake is the socket below TLS. It has a turn from the moment the client said
// hello until it is the client's turn to speak: the work is in between, and who
// goes on to say nothing must not hold the turn meanwhile.
type handshake struct {
	net.Conn
	turns *turns
	has   bool
	spoke bool // the client, and not only connected
}

func (h *handshake) Read(p []byte) (int, error) {
	h.yield()
	n, err := h.Conn.Read(p)
	h.spoke = h.spoke || n > 0
	return n, err
}

func (h *handshake) yield() {
	if h.has {
		h.has = false
		h.turns.give()
	}
}

// inTurn returns the configuration for a listener whose handshakes take turns.
func (l *Limiter) inTurn(config *tls.Config) *tls.Config {
	if config == nil {
		return nil
	}
	config = config.Clone()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		h := hello.Conn.(*handshake)
		err := h.turns.take(hello.Context(), owner(h))
		h.has = err == nil
		return nil, err
	}
	return config
}

func (c *conn) encrypt(config *tls.Config) *encrypted {
	e := &encrypted{conn: c, handshake: &handshake{Conn: c.raw, turns: c.limiter.turns}}
	e.tls = tls.Server(e.handshake, config)
	c.Conn = e.tls
	return e
}

// ConnectionState shakes hands, within the time that there is for it.
func (e *encrypted) ConnectionState() tls.ConnectionState {
	ctx, cancel := context.WithTimeout(e.present, e.limiter.config.HandshakeTimeout)
	defer cancel()
	e.tls.SetDeadline(time.Now().Add(e.limiter.config.HandshakeTimeout))
	err := e.tls.HandshakeContext(ctx)
	e.handshake.yield()
	e.tls.SetDeadline(time.Time{})
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) && plain.Conn != nil && looksLikeHTTP(plain.RecordHeader) {
		io.WriteString(plain.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
	}
	if err != nil && e.handshake.spoke && e.present.Err() == nil {
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
	return cmp.Or(beginning(plain.RecordHeader[:]), invalidHandshake)
}

// looksLikeHTTP tells a slip in a URL from noise.
func looksLikeHTTP(begin [5]byte) bool {
	return slices.Contains([]string{"GET /", "HEAD ", "POST ", "PUT /", "OPTIO"}, string(begin[:]))
}
