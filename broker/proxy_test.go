package broker_test

import (
	"bytes"
	"encoding/json"
	"net"
	"sync"
	"testing"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

// proxy stands between a broker and the server. It can cut the connection in
// place of handing something over, and it can fall silent.
type proxy struct {
	listener net.Listener
	server   string
	ended    chan struct{}

	mu     sync.Mutex
	trap   []byte
	sprung bool
	frozen bool
	conns  []net.Conn
	// advertised are the addresses that clients are told of.
	advertised []string
}

func startProxy(t *testing.T, s *natstest.Server) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, server: s.Server().Addr().String(), ended: make(chan struct{})}
	t.Cleanup(func() { close(p.ended); l.Close() })
	go p.serve()
	return p
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

// swallow cuts the connection the next time that the server sends text, which
// the broker then never sees.
func (p *proxy) swallow(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trap = []byte(text)
}

func (p *proxy) swallowed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sprung
}

// advertise has clients be told of addresses.
func (p *proxy) advertise(addresses ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advertised = addresses
}

// cut closes the connections that there are.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// freeze makes it read nothing more and close nothing, like a host that hangs.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = true
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		advertised := p.advertised
		p.mu.Unlock()
		never := func([]byte) bool { return false }
		go p.carry(server, client, never)
		go p.carry(client, &advertiser{server, advertised}, p.springs)
	}
}

func (p *proxy) carry(to, from net.Conn, cut func([]byte) bool) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if p.isFrozen() {
			<-p.ended
		}
		if err != nil || cut(buffer[:n]) {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) isFrozen() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.frozen
}

func (p *proxy) springs(data []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trap == nil || !bytes.Contains(data, p.trap) {
		return false
	}
	p.trap, p.sprung = nil, true
	return true
}

// advertiser is a connection from a server which adds addresses to what the server
// says of itself.
type advertiser struct {
	net.Conn
	addresses []string
}

func (a *advertiser) Read(buffer []byte) (int, error) {
	n, err := a.Conn.Read(buffer)
	if rest, isInfo := bytes.CutPrefix(buffer[:n], []byte("INFO {")); isInfo && len(a.addresses) > 0 {
		list, _ := json.Marshal(a.addresses)
		changed := append(append([]byte(`INFO {"connect_urls":`), list...), ',')
		changed = append(changed, rest...)
		return copy(buffer, changed), err
	}
	return n, err
}
