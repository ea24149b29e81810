package connlimit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sine-relay/sine-relay/internal/wait"
)

// patience bounds what a test waits for; it is far above what anything needs.
const patience = wait.Limit

// rig is a server whose handler takes "Key: valid" for a valid key, and holds on
// to a request for /hang until the test lets it go.
type rig struct {
	*Limiter
	t         *testing.T
	address   string
	hanging   chan struct{}
	shown     chan struct{} // receives once for a valid key, where somebody waits for it
	encrypted bool
	server    *http.Server
	proceed   chan struct{}
}

func newRig(t *testing.T, limit int, change ...func(*rig, *listener)) *rig {
	t.Helper()
	r := &rig{t: t, hanging: make(chan struct{}), shown: make(chan struct{}, 1), proceed: make(chan struct{})}
	r.Limiter = New(Config{Listener: "test", Max: limit, HeaderLines: 10, HandshakeTimeout: patience, Registerer: prometheus.NewPedanticRegistry()})
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := r.Listen(socket, nil).(*listener)
	for _, c := range change {
		c(r, l)
	}
	server := &http.Server{Handler: http.HandlerFunc(r.answer), ReadHeaderTimeout: patience, IdleTimeout: patience}
	r.Attach(server)
	r.server = server
	r.address = socket.Addr().String()
	ended := make(chan struct{})
	go func() { defer close(ended); server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-ended })
	return r
}

func (r *rig) answer(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("Key") == "valid" {
		Authenticated(req.Context(), req.Header.Get("User"))
		select {
		case r.shown <- struct{}{}:
		default:
		}
	} else {
		w.Header().Set("Connection", "close")
	}
	if req.URL.Path == "/hang" {
		r.hanging <- struct{}{}
		<-r.proceed
	}
	io.Copy(io.Discard, req.Body)
	if req.TLS != nil != r.encrypted {
		r.t.Errorf("TLS is %v", req.TLS)
	}
	fmt.Fprint(w, "answered")
}

// client is one connection.
type client struct {
	net.Conn
	t    *testing.T
	read *bufio.Reader
}

// connect opens a connection from a loopback address of its own, and returns once
// it was counted.
func (r *rig) connect(from string) *client {
	r.t.Helper()
	before, dropped := r.Open(), r.drops()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.Dial("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	eventually(r.t, "the connection is accepted", func() bool { return r.Open() > before || r.drops() > dropped })
	return &client{conn, r.t, bufio.NewReader(conn)}
}

func (r *rig) drops() (all float64) {
	for _, reason := range reasons {
		all += r.dropped(reason)
	}
	return all
}

func (r *rig) dropped(reason string) float64 {
	return testutil.ToFloat64(r.metrics.dropped.WithLabelValues(reason))
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// must makes a request with a valid key and gets an answer.
func (c *client) must() {
	c.t.Helper()
	c.send("POST / HTTP/1.1\r\nHost: x\r\nKey: valid\r\nContent-Length: 0\r\n\r\n")
	c.answered()
}

func (c *client) answered() {
	c.t.Helper()
	answer, err := http.ReadResponse(c.read, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if body, err := io.ReadAll(answer.Body); string(body) != "answered" || err != nil {
		c.t.Fatalf("%d %q %v", answer.StatusCode, body, err)
	}
}

// isOpen looks whether the other end has closed.
func (c *client) isOpen() bool {
	c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	defer c.SetReadDeadline(time.Now().Add(patience))
	_, err := c.read.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded)
}

func (c *client) closed(what string) {
	c.t.Helper()
	if _, err := c.read.Peek(1); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("%s is still open: %v", what, err)
	}
}

var eventually = wait.Until

func (r *rig) idle(want int) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%d are idle", want), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.Limiter.idle.len == want
	})
}

func TestAdmit_AFullListenerClosesTheOldestUnauthenticated(t *testing.T) {
	r := newRig(t, 4)
	var all []*client
	for range 6 {
		all = append(all, r.connect("127.0.0.1"))
	}
	for i, c := range all {
		if i < 2 {
			c.closed(fmt.Sprintf("connection %d", i))
		} else if !c.isOpen() {
			t.Errorf("connection %d was closed", i)
		}
	}
	if r.Open() != 4 || r.dropped(reasonUnauthenticated) != 2 {
		t.Errorf("%d are open, %v were dropped", r.Open(), r.dropped(reasonUnauthenticated))
	}
	all[5].must()
}

func TestAdmit_WhoHasMostConnectionsMakesRoom(t *testing.T) {
	r := newRig(t, 5)
	first := r.connect("127.0.0.2")
	var crowd []*client
	for range 4 {
		crowd = append(crowd, r.connect("127.0.0.3"))
	}
	second := r.connect("127.0.0.2")
	for range 20 {
		r.connect("127.0.0.3")
	}
	crowd[0].closed("the crowd's first")
	for _, c := range []*client{first, second} {
		c.must()
	}
}

func TestAdmit_UnauthenticatedOnesDoNotCloseAuthenticatedOnes(t *testing.T) {
	r := newRig(t, 8)
	var known []*client
	for range 6 {
		c := r.connect("127.0.0.2")
		c.must()
		known = append(known, c)
	}
	r.idle(6)
	for i := range 30 {
		r.connect(fmt.Sprintf("127.0.1.%d", i+1))
	}
	if r.dropped(reasonIdle) != 0 || r.dropped(reasonUnauthenticated) != 28 {
		t.Errorf("%v idle ones and %v unauthenticated ones were closed", r.dropped(reasonIdle), r.dropped(reasonUnauthenticated))
	}
	for _, c := range known {
		c.must()
	}
}

func TestAdmit_IdleConnectionsWithAKeyLeaveAQuarter(t *testing.T) {
	r := newRig(t, 8)
	few := r.connect("127.0.0.2")
	few.must()
	r.idle(1)
	var hog []*client
	for i := range 7 {
		c := r.connect("127.0.0.3")
		c.must()
		r.idle(i + 2)
		hog = append(hog, c)
	}
	r.connect("127.0.0.4")
	second := r.connect("127.0.0.4")
	r.connect("127.0.0.4")
	if r.dropped(reasonIdle) != 2 || r.dropped(reasonUnauthenticated) != 1 {
		t.Errorf("%v idle ones and %v unauthenticated ones were closed", r.dropped(reasonIdle), r.dropped(reasonUnauthenticated))
	}
	hog[0].closed("the hog's first")
	hog[1].closed("the hog's second")
	for _, c := range append(hog[2:], few, second) {
		c.must()
	}
}

func TestAdmit_WhatIsBeingAnsweredIsNeverClosed(t *testing.T) {
	r := newRig(t, 4)
	var all []*client
	for range 4 {
		c := r.connect("127.0.0.2")
		c.send("POST /hang HTTP/1.1\r\nHost: x\r\nKey: valid\r\nContent-Length: 0\r\n\r\n")
		<-r.hanging
		all = append(all, c)
	}
	r.connect("127.0.0.3").closed("a newcomer where nobody can leave")
	if r.dropped(reasonFull) != 1 || r.Open() != 4 {
		t.Errorf("%v were refused, %d are open", r.dropped(reasonFull), r.Open())
	}
	close(r.proceed)
	for _, c := range all {
		c.answered()
	}
	r.idle(4)
	r.connect("127.0.0.3").must() // there is room again
}

// Who has one user's key and does not end its requests, or their headers, takes no
// place that another user needs.
func TestAdmit_ConnectionsOfOneUserLeaveRoomForOthers(t *testing.T) {
	const begun = "POST / HTTP/1.1\r\nHost: x\r\nKey: valid\r\nUser: hog\r\nContent-Length: 2\r\n\r\n"
	for _, attack := range []struct {
		name string
		hold func(*rig, *client)
	}{
		{"bodies that do not end", func(r *rig, c *client) {
			c.send(begun + "{")
			<-r.shown
		}},
		{"headers that do not end", func(r *rig, c *client) {
			c.send(begun + "{}")
			c.answered()
			r.idle(1)
			c.send("P")
			r.idle(0)
		}},
	} {
		t.Run(attack.name, func(t *testing.T) {
			r := newRig(t, 16)
			r.Among(2)
			for range 16 {
				attack.hold(r, r.connect("127.0.0.3"))
			}
			for range 20 {
				c := r.connect("127.0.0.2")
				c.send(strings.Replace(begun, "hog", "honest", 1) + "{}")
				c.answered()
				c.Close()
				eventually(t, "it is counted out", func() bool { return r.Open() < 16 })
			}
			if r.dropped(reasonFull) != 0 || r.dropped(reasonShare) == 0 {
				t.Errorf("%v found no room, %v made some", r.dropped(reasonFull), r.dropped(reasonShare))
			}
			eventually(t, "no share is lost", func() bool { return r.protected.Taken() <= 8 })
		})
	}
}

// The server says that a kept connection is busy once it has read a header. Were
// it closed before, a visitor would be cut off.
func TestTrap_AKeptConnectionIsActiveFromTheFirstByte(t *testing.T) {
	r := newRig(t, 4)
	c := r.connect("127.0.0.2")
	c.must()
	r.idle(1)
	c.send("POST / HTTP/1.1\r\nHo")
	r.idle(0)
	for range 12 {
		r.connect("127.0.0.2")
	}
	c.send("st: x\r\nKey: valid\r\nContent-Length: 0\r\n\r\n")
	c.answered()
}

func TestClose_CountsAConnectionOut(t *testing.T) {
	r := newRig(t, 4)
	for range 20 {
		c := r.connect("127.0.0.2")
		c.must()
		c.Close()
		eventually(t, "it is counted out", func() bool { return r.Open() == 0 })
	}
	if r.drops() != 0 {
		t.Errorf("%v were dropped", r.drops())
	}
}

func TestHeader_HasSoManyLines(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("a: b\n", n) }
	for _, c := range []struct {
		name, sent string
		refused    bool
	}{
		{"as many as may be", "POST / HTTP/1.1\r\nHost: x\r\n" + lines(8) + "\r\n", false},
		{"one more", "POST / HTTP/1.1\r\nHost: x\r\n" + lines(9) + "\r\n", true},
		{"without an end", "POST / HTTP/1.1\r\n" + lines(11), true},
		{"behind empty lines", "\r\n\r\nPOST / HTTP/1.1\r\n" + lines(11), true},
		{"lines of a body are none", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n" + lines(100), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := newRig(t, 4).connect("127.0.0.1")
			client.send(c.sent)
			if !c.refused {
				client.answered()
				return
			}
			answer, err := http.ReadResponse(client.read, nil)
			if err != nil || answer.StatusCode != http.StatusBadRequest {
				t.Errorf("answered %v %v", answer, err)
			}
		})
	}
	t.Run("lines of a body are none where its header came with the request before", func(t *testing.T) {
		r := newRig(t, 4)
		client := r.connect("127.0.0.1")
		client.send("POST / HTTP/1.1\r\nHost: x\r\nKey: valid\r\nContent-Length: 0\r\n\r\nPOST /hang HTTP/1.1\r\nHost: x\r\nKey: valid\r\nContent-Length: 500\r\n\r\n")
		client.answered()
		<-r.hanging // before it reads the body
		client.send(lines(100))
		close(r.proceed)
		client.answered()
	})
	t.Run("of a kept connection, too", func(t *testing.T) {
		client := newRig(t, 4).connect("127.0.0.1")
		for range 5 {
			client.must()
		}
		client.send("POST / HTTP/1.1\r\n" + lines(11))
		client.closed("a connection with too long a header")
	})
}
