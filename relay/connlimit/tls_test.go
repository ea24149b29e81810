package connlimit

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
)

// withTLS has the server speak it, with the certificate of net/http's own tests.
func withTLS(timeout time.Duration) func(*rig, *listener) {
	return func(r *rig, l *listener) {
		r.config.HandshakeTimeout, r.encrypted = timeout, true
		borrowed := httptest.NewTLSServer(nil)
		borrowed.Close()
		l.tls = r.limitHandshakes(&tls.Config{Certificates: borrowed.TLS.Certificates})
	}
}

func (c *client) encrypt() *client {
	secure := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	again := *c
	again.Conn = secure
	again.read.Reset(secure)
	return &again
}

func TestTLS_WhoNeverShakesHandsIsClosedFirst(t *testing.T) {
	r := newRig(t, 4, withTLS(patience))
	c := r.connect("127.0.0.1").encrypt()
	for range 3 {
		c.must()
	}
	r.idle(1)
	for range 12 {
		r.connect("127.0.0.1") // these never shake hands
	}
	c.must()
	if r.dropped(reasonUnauthenticated) != 9 {
		t.Errorf("%v were closed", r.dropped(reasonUnauthenticated))
	}
}

func TestTLS_AHandshakeThatDoesNotEndIsClosed(t *testing.T) {
	r := newRig(t, 4, withTLS(50*time.Millisecond))
	c := r.connect("127.0.0.1")
	c.send("\x16\x03\x01")
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("the connection was not closed: %v", err)
	}
	eventually(t, "it is counted out", func() bool { return r.Open() == 0 })
}

func TestTLS_HTTPIsAnsweredInPlainText(t *testing.T) {
	r := newRig(t, 4, withTLS(patience))
	c := r.connect("127.0.0.1")
	c.send("POST / HTTP/1.1\r\nHost: x\r\n\r\n")
	answer, err := http.ReadResponse(c.read, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode != 400 || !strings.Contains(string(body), "HTTPS server") {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
}

// hello is what a client says first; it goes on to say nothing.
func hello(t *testing.T) string {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	go func() {
		tls.Client(there, &tls.Config{InsecureSkipVerify: true}).Handshake()
		there.Close()
	}()
	buffer := make([]byte, 8192)
	n, err := here.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

// Were the semaphore held until the handshake ends, a few clients that say hello and no
// more would keep everybody out.
func TestTrap_ASilentHandshakeDoesNotHoldTheSemaphore(t *testing.T) {
	r := newRig(t, 100, withTLS(patience))
	text := hello(t)
	for range 50 {
		c := r.connect("127.0.0.1")
		c.send(text)
		if _, err := c.read.Peek(1); err != nil { // the server has spoken
			t.Fatal(err)
		}
	}
	r.connect("127.0.0.1").encrypt().must()
}

func TestTLS_WhoIsClosedDoesNotWaitForTheSemaphore(t *testing.T) {
	r := newRig(t, 4, withTLS(patience))
	for range runtime.GOMAXPROCS(0) { // all that may compute, and more
		r.handshakes.mu.Lock()
		free := r.handshakes.free
		r.handshakes.mu.Unlock()
		if free > 0 {
			r.handshakes.acquire(t.Context(), netip.Addr{})
		}
	}
	text := hello(t)
	for range 12 {
		r.connect("127.0.0.1").send(text)
	}
	eventually(t, "only those that are open wait", func() bool {
		r.handshakes.mu.Lock()
		defer r.handshakes.mu.Unlock()
		return len(r.handshakes.waiting[netip.MustParseAddr("127.0.0.1")]) == 4
	})
}
