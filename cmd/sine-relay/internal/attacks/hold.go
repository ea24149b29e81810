//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// reopen is after what time one that was closed is opened again.
	reopen = 5 * time.Second
	// dribble is between two bytes of a header without an end.
	dribble = 2 * time.Second
	// sources are how many addresses the connections come from.
	sources = 16
)

// holders hold connections, and open anew what the relay closes.
type holders struct {
	order                        order
	opened, closed, held, failed atomic.Int64
	most                         most
}

func newHolders(o order) *holders { return &holders{order: o} }

func (h *holders) hold(ctx context.Context) {
	var all sync.WaitGroup
	count := h.order.Assault.Count
	for n := range count {
		all.Go(func() {
			wait(ctx, h.order.Assault.ramp()*time.Duration(n)/time.Duration(count))
			for try := 0; ctx.Err() == nil; try++ {
				h.one(ctx, n, try)
				wait(ctx, reopen)
			}
		})
	}
	all.Wait()
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// one holds one connection until the relay closes it.
func (h *holders) one(ctx context.Context, n, try int) {
	conn, err := h.dial(ctx, n)
	if err != nil {
		if ctx.Err() == nil {
			h.failed.Add(1)
		}
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	h.opened.Add(1)
	h.most.see(h.held.Add(1))
	defer h.held.Add(-1)
	h.occupy(ctx, conn, try == 0 && n%2 == 0)
	if ctx.Err() == nil {
		h.closed.Add(1)
	}
}

func (h *holders) dial(ctx context.Context, n int) (net.Conn, error) {
	to := h.order.Public
	dialer := net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+n%sources))}}
	if h.order.Assault.Kind == scrapes {
		to, dialer.Control = h.order.Admin, smallBuffer
	}
	conn, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil || !h.order.Assault.TLS {
		return conn, err
	}
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// smallBuffer has the kernel take little of what is not read.
func smallBuffer(_, _ string, c syscall.RawConn) (err error) {
	failed := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	if failed != nil {
		return failed
	}
	return err
}

// occupy returns when the other end has closed, or the connection was.
func (h *holders) occupy(ctx context.Context, conn net.Conn, ask bool) {
	switch h.order.Assault.Kind {
	case idle:
		// Half of them have an answer first, which would keep them for longer.
		// Who is closed after it says nothing the next time.
		if ask {
			io.WriteString(conn, "GET /nowhere HTTP/1.1\r\nHost: relay\r\n\r\n")
		}
		io.Copy(io.Discard, conn)
	case halfHeaders:
		h.dribble(ctx, conn, strings.Repeat("X-Padding: "+strings.Repeat("x", 107)+"\r\n", 100), "x")
	case shortLines:
		h.dribble(ctx, conn, lines(), "x")
	case scrapes:
		h.dribble(ctx, conn, "", "\r\n")
	}
}

// lines are a header of as many different names as are let in.
var lines = sync.OnceValue(func() string {
	var b strings.Builder
	for n := range 3000 {
		fmt.Fprintf(&b, "%x:\n", n)
	}
	return b.String()
})

// dribble begins a request, and sends a little more from time to time until that
// fails.
func (h *holders) dribble(ctx context.Context, conn net.Conn, header, more string) {
	begin := "POST /sine/" + hostileLobby + " HTTP/1.1\r\nHost: relay\r\n"
	if h.order.Assault.Kind == scrapes {
		begin = "GET /metrics HTTP/1.1\r\nHost: relay\r\n\r\n"
	}
	_, err := io.WriteString(conn, begin+header)
	for err == nil && ctx.Err() == nil {
		wait(ctx, dribble)
		_, err = io.WriteString(conn, more)
	}
}
