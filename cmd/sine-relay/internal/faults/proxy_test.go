//go:build linux && faults

package faults

import (
	"net"
	"sync"
	"testing"
	"time"
)

// proxy is the network between one relay and one node.
type proxy struct {
	listener net.Listener
	target   string
	ended    chan struct{}

	mu      sync.Mutex
	network network
	changed chan struct{} // closed and replaced at each change of the network
	wires   map[*wire]bool
}

// direction is that of bytes: up to the node or down to the relay.
type direction int

const (
	up direction = iota
	down
)

// network is what the network does to connections. The zero value is fair.
type network struct {
	anew     bool // begins with a reset of all connections
	refusing bool // new ones are reset too
	stalled  bool // bytes wait, and arrive once it is over
	// deaf is a direction in which bytes vanish. A connection that lost some
	// stays deaf for good, as behind a firewall that has forgotten it: what
	// came later would be taken for what was lost.
	deaf  [2]bool
	delay time.Duration
	// resetAfter is how many bytes up a connection may carry before it is
	// reset, mostly within a frame; 0 is no bound.
	resetAfter int
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, target: target, ended: make(chan struct{}), changed: make(chan struct{}), wires: map[*wire]bool{}}
	go p.serve()
	t.Cleanup(func() { close(p.ended); listener.Close(); p.cut() })
	return p
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

// turn changes the network for all connections, those to come too.
func (p *proxy) turn(w network) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.network = w
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *proxy) now() (network, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.network, p.changed
}

// cut resets all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.wires {
		w.reset()
	}
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.connect(client.(*net.TCPConn))
	}
}

func (p *proxy) connect(client *net.TCPConn) {
	server, err := net.Dial("tcp", p.target)
	now, _ := p.now()
	if err != nil || now.refusing {
		abort(client)
		if err == nil {
			server.Close()
		}
		return
	}
	w := &wire{proxy: p, ends: [2]*net.TCPConn{up: server.(*net.TCPConn), down: client}}
	p.mu.Lock()
	p.wires[w] = true
	p.mu.Unlock()
	var carrying sync.WaitGroup
	carrying.Go(func() { w.carry(up) })
	carrying.Go(func() { w.carry(down) })
	carrying.Wait()
	p.mu.Lock()
	delete(p.wires, w)
	p.mu.Unlock()
}

// abort closes a connection with a reset.
func abort(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
}

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
func (w *wire) shorten(to direction, now network, data []byte) (_ []byte, whole bool) {
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
