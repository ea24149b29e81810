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
	weather weather
	changed chan struct{} // closed and replaced at each change of the weather
	wires   map[*wire]bool
}

// direction is that of bytes: up to the node or down to the relay.
type direction int

const (
	up direction = iota
	down
)

// weather is what the network does to connections. The zero value is fair.
type weather struct {
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

// turn changes the weather for all connections, those to come too.
func (p *proxy) turn(w weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.weather = w
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *proxy) now() (weather, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.weather, p.changed
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
