package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/visit"
)

// AsksNobody says what follows from a NATS that lets everybody in.
const AsksNobody = "NATS requires no authentication: any client that reaches it can decide, acknowledge messages that are not stored, forge events, and give orders"

// asks notes whether the server that l is connected to wants to know who connects.
func (l *link) asks(nc *nats.Conn) {
	nobody := l.greeting.asksNobody(nc)
	if l.asksNobody.Swap(nobody) != nobody && nobody {
		l.log.Warn(AsksNobody)
	}
}

// asksNobody reports whether one of the servers in use lets everybody in.
func (b *Broker) asksNobody() bool { return b.door.asksNobody.Load() || b.events.asksNobody.Load() }

func (b *Broker) watchAuthentication(reg prometheus.Registerer) {
	if reg == nil {
		return
	}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sine_relay_nats_unauthenticated",
		Help: "1 while NATS requires no authentication: any client that reaches it can decide, acknowledge, forge events and give orders.",
	}, func() float64 { return oneIf(b.asksNobody()) }))
}

// Examination is what a look at NATS from outside brings to light.
type Examination struct {
	// Server is the URL of the server, without password.
	Server string
	// AsksNobody is whether it lets everybody in.
	AsksNobody bool
	Streams    []StreamStatus
	// Requests is nil when no stream takes the check-in requests.
	Requests error
}

// Examine looks at NATS with the relay's credentials. It creates and changes
// nothing.
func Examine(ctx context.Context, cfg Config) (Examination, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return Examination{}, fmt.Errorf("broker: %w", err)
	}
	greeting := greeting{certificate: cfg.TLS.HandshakeFirst && cfg.TLS.CertFile != ""}
	nc, err := cfg.dialAsRelay(nats.SetCustomDialer(&greeting))
	if err != nil {
		return Examination{}, err
	}
	defer nc.Close()
	e := Examination{Server: nc.ConnectedUrlRedacted(), AsksNobody: greeting.asksNobody(nc)}
	e.Requests = examineOverlap(ctx, nc, cfg.Subjects.All(visit.RootAsk))
	for _, want := range blueprints(cfg) {
		e.add(want.name, examineStream(ctx, nc, want))
	}
	e.add("KV_"+cfg.Orders, examineOrders(ctx, nc, cfg))
	return e, nil
}

func (e *Examination) add(stream string, f finding) {
	e.Streams = append(e.Streams, StreamStatus{Name: stream, Verified: f.fit(), Fault: f.fault, Pending: f.pending, Drift: f.drift.lines(stream)})
}

func examineStream(ctx context.Context, nc *nats.Conn, want blueprint) finding {
	info, err := infoOf(ctx, nc, want.name)
	switch {
	case isAbsent(err):
		return absent(want.name)
	case err != nil:
		return failure(want, "look at", "STREAM.INFO."+want.name, err)
	}
	return found(want, info)
}

// examineOrders looks at the bucket of standing orders.
func examineOrders(ctx context.Context, nc *nats.Conn, cfg Config) finding {
	stream := "KV_" + cfg.Orders
	info, err := infoOf(ctx, nc, stream)
	switch {
	case isAbsent(err):
		return absent(stream)
	case err != nil:
		return finding{fault: fmt.Errorf("look at stream %s: %w", stream, err)}
	}
	differs, unfit := orders.Inspect(cfg.Orders, cfg.Replicas, info.Config)
	return finding{fault: unfit, drift: driftsOf(differs)}
}

func infoOf(ctx context.Context, nc *nats.Conn, stream string) (info streamInfo, err error) {
	subject := "STREAM.INFO." + stream
	reply, err := request(ctx, nc, &nats.Msg{Subject: apiPrefix + subject})
	switch {
	case err != nil:
		return info, err
	case isNoResponders(reply):
		return info, errNoJetStream
	default:
		return info, readAPI(subject, reply.Data, &info)
	}
}

func isAbsent(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && refused.ErrorCode == codeStreamNotFound
}

func absent(stream string) finding {
	return finding{pending: fmt.Errorf("stream %s does not exist; the relay creates it when it starts, if permitted", stream)}
}

// greeting reads what a server says of itself as a connection is made. What the
// client library keeps is replaced right after it, and then a server says that it
// asks although it lets in those who do not answer (nats-server 2.15, no_auth_user).
type greeting struct {
	heard  atomic.Bool // not over WebSocket, not in process, and not behind the TLS handshake
	nobody atomic.Bool
	// certificate is set where one is shown before the greeting: whether the server
	// insists on it is not known, and is taken to be so.
	certificate bool
}

// Dial makes it a nats.CustomDialer.
func (g *greeting) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).Dial(network, address)
	if err != nil {
		return nil, err
	}
	g.heard.Store(false)
	return &greeted{Conn: conn, to: g}, nil
}

// asksNobody is about the connection that was made last.
func (g *greeting) asksNobody(nc *nats.Conn) bool {
	if g.heard.Load() {
		return g.nobody.Load()
	}
	return !nc.AuthRequired() && !g.certificate
}

// longestGreeting bounds what is kept of one.
const longestGreeting = 64 << 10

// greeted is a connection whose first line is read along.
type greeted struct {
	net.Conn
	to   *greeting
	line []byte
	done bool
}

func (c *greeted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.done {
		return n, err
	}
	c.line = append(c.line, p[:n]...)
	line, _, whole := bytes.Cut(c.line, []byte("\n"))
	if whole {
		c.to.read(line)
	}
	if whole || len(c.line) > longestGreeting {
		c.done, c.line = true, nil
	}
	return n, err
}

// read takes in a line. A certificate that the server insists on is an answer to
// who somebody is.
func (g *greeting) read(line []byte) {
	text, isInfo := bytes.CutPrefix(line, []byte("INFO "))
	var info struct {
		AuthRequired bool `json:"auth_required"`
		TLSVerify    bool `json:"tls_verify"`
	}
	if isInfo && json.Unmarshal(text, &info) == nil {
		g.nobody.Store(!info.AuthRequired && !info.TLSVerify)
		g.heard.Store(true)
	}
}
