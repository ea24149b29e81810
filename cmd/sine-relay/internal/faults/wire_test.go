//go:build linux && faults

package faults

import (
	"net"
	"time"
)

// wire is one connection through a proxy.
type wire struct {
	proxy *proxy
	ends  [2]*net.TCPConn // to which bytes go in each direction
	// Each is touched by the one goroutine that reads in its direction.
	lost    [2]bool
	carried [2]int
}

// chunk is what was read at once, and when it may arrive.
type chunk struct {
	data []byte
	due  time.Time
}

// carry takes bytes in one direction until either end closes. What was read by
// then still arrives, as it does in a network.
func (w *wire) carry(to direction) {
	queue := make(chan chunk, 1024)
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		w.deliver(to, queue)
	}()
	w.read(to, queue)
	close(queue)
	<-delivered
	w.ends[up].Close()
	w.ends[down].Close()
}

func (w *wire) read(to direction, queue chan<- chunk) {
	from := w.ends[1-to]
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		now, _ := w.proxy.now()
		w.lost[to] = w.lost[to] || now.deaf[to]
		if w.lost[to] {
			continue
		}
		data, whole := w.shorten(to, now, buffer[:n])
		queue <- chunk{append([]byte(nil), data...), time.Now().Add(now.delay)}
		if !whole {
			return
		}
	}
}

// shorten cuts off what a connection that is to be reset may not carry.
func (w *wire) shorten(to direction, now weather, data []byte) (_ []byte, whole bool) {
	if to == down || now.resetAfter == 0 {
		return data, true
	}
	left := max(now.resetAfter-w.carried[up], 0)
	if len(data) <= left {
		w.carried[up] += len(data)
		return data, true
	}
	// The rest of the frame is lost with the connection.
	w.ends[down].SetLinger(0)
	return data[:left], false
}

func (w *wire) deliver(to direction, queue <-chan chunk) {
	for c := range queue {
		if wait := time.Until(c.due); wait > 0 {
			hold(wait)
		}
		if !w.mayPass() {
			continue
		}
		if _, err := w.ends[to].Write(c.data); err != nil {
			w.ends[1-to].Close() // so that the reading ends
		}
	}
}

// mayPass waits while the network is stalled, and reports false once the proxy
// has ended.
func (w *wire) mayPass() bool {
	for {
		now, changed := w.proxy.now()
		if !now.stalled {
			return true
		}
		select {
		case <-changed:
		case <-w.proxy.ended:
			return false
		}
	}
}

func (w *wire) reset() {
	abort(w.ends[up])
	abort(w.ends[down])
}
