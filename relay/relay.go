// Package relay answers Sine's webhooks. It authenticates a webhook, reads it, asks
// the deciders or stores the event through the broker it was given, and responds.
//
// It promises that every webhook gets one truthful response within the budgets it
// was configured with: a check-in request the decision or the integration's
// fallback, an event a 200 only once it is stored. Nothing personal leaves it but
// to the broker and, in the response, to Sine.
//
// A webhook's way: middleware.go makes an [exchange] of the request, handler.go
// authenticates it (auth.go), reads its body (body.go) and what Sine says in it
// (decode.go, json.go), and passes it on by its kind to checkin.go, event.go or
// quarantine.go. Each returns a response (response.go), which the exchange writes.
//
// It knows Sine's JSON and HTTP, and nothing of NATS.
package relay

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/internal/clientip"
	"github.com/sine-relay/sine-relay/internal/logthrottle"
	"github.com/sine-relay/sine-relay/internal/ratelimit"
	"github.com/sine-relay/sine-relay/relay/connlimit"
	"github.com/sine-relay/sine-relay/visit"
)

// Asker sends check-in requests to deciders.
type Asker interface {
	// Ask returns the decision, or an error that wraps visit.ErrNoDecider,
	// visit.ErrTimeout, visit.ErrDisconnected, visit.ErrDenied or
	// visit.ErrBadReply. It returns when ctx ends at the latest.
	Ask(ctx context.Context, request visit.Message) (visit.Decision, error)
}

// Publisher stores messages.
type Publisher interface {
	// Publish returns nil only when the message is stored. It returns when
	// ctx ends at the latest; its error says why it could not be stored.
	Publish(ctx context.Context, m visit.Message) (visit.Receipt, error)
}

// Orders knows the standing orders of the operator.
type Orders interface {
	// OrdersAt returns those that were given, and whether those that concern a
	// site are known. Where they are not, they may have changed since. It does
	// not wait.
	OrdersAt(site string) (orders []visit.Order, known bool)
}

// orNone stands in for nobody who gives orders.
func orNone(o Orders) Orders {
	if o == nil {
		return noOrders{}
	}
	return o
}

type noOrders struct{}

func (noOrders) OrdersAt(string) ([]visit.Order, bool) { return nil, true }

// Config is what a [Relay] is made of.
type Config struct {
	// Integrations must be complete, as their fields say.
	Integrations []Integration
	Subjects     visit.Subjects
	Asker        Asker
	Publisher    Publisher
	// Orders may be nil: then there are none.
	Orders Orders
	// StrictOrders lets nobody in while the orders are not known, not even whom
	// a decider accepts.
	StrictOrders bool
	Limits       Limits
	// Proxies are those that are trusted to pass the client's address on.
	Proxies clientip.Proxies
	// RefusePlainHTTP refuses webhooks of which a proxy says that they came to it by
	// http. They are counted in any case.
	RefusePlainHTTP bool
	// Clock is the time by which a webhook was received and conditions are evaluated;
	// nil is the machine's. Deadlines and standing orders go by the machine's anyway.
	Clock      func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Relay answers webhooks. It is an [http.Handler] for the public listener and
// safe for concurrent use.
type Relay struct {
	snapshot        atomic.Pointer[snapshot]
	swapping        sync.Mutex // one snapshot after another
	subjects        visit.Subjects
	asker           Asker
	publisher       Publisher
	orders          Orders
	strictOrders    bool
	limits          Limits
	limiter         *limiter
	connections     *connlimit.Limiter
	proxies         clientip.Proxies
	refusePlainHTTP bool
	failures        *ratelimit.Limiter[netip.Addr]
	refusals        *refusals
	addressWarnings *logthrottle.Throttle
	captures        captures
	recorder        *recorder
	duplicates      *duplicates
	visitIDs        *visitIDs
	drifts          *drifts
	metrics         *metrics
	log             *slog.Logger
	handler         http.Handler
	draining        atomic.Bool
	// now is the time of deadlines. Clock is what is written down; zero is now.
	now, clock func() time.Time
}

// New returns a relay for the configured integrations, or everything that is
// wrong with them.
func New(cfg Config) (*Relay, error) {
	s, err := newSnapshot(cfg.Integrations)
	if err != nil {
		return nil, err
	}
	m := newMetrics(cfg.Registerer)
	r := &Relay{
		subjects:        cfg.Subjects,
		asker:           cfg.Asker,
		publisher:       cfg.Publisher,
		orders:          orNone(cfg.Orders),
		strictOrders:    cfg.StrictOrders,
		limits:          cfg.Limits,
		limiter:         newLimiter(cfg.Limits),
		proxies:         cfg.Proxies,
		refusePlainHTTP: cfg.RefusePlainHTTP,
		failures:        ratelimit.New[netip.Addr](failureLimits),
		addressWarnings: logthrottle.New(addressWarningInterval),
		refusals:        newRefusals(cfg.Logger),
		recorder:        newRecorder(cfg, m),
		duplicates:      newDuplicates(),
		visitIDs:        newVisitIDs(),
		drifts:          newDrifts(cfg.Logger, cfg.Registerer),
		metrics:         m,
		log:             cfg.Logger,
		now:             time.Now,
		clock:           func() time.Time { return time.Time{} },
		connections: connlimit.New(connlimit.Config{
			Listener: "public", Max: cfg.Limits.Connections, HeaderLines: headerLines, HandshakeTimeout: cfg.Limits.ReadTimeout,
			Logger: cfg.Logger, Registerer: cfg.Registerer,
		}),
	}
	if cfg.Clock != nil {
		r.clock = cfg.Clock
	}
	r.swap(s)
	r.handler = r.middleware(r.routes())
	return r, nil
}

// ServeHTTP answers one request.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.handler.ServeHTTP(w, req) }

// Drain asks clients to leave: each response from now on closes its connection, so
// that none is cut off with a request on its way when the listener closes.
func (r *Relay) Drain() { r.draining.Store(true) }

// Flush waits until the records of all decisions are stored or given up, or ctx
// ends. It is called when no more requests come.
func (r *Relay) Flush(ctx context.Context) {
	r.refusals.flush()
	r.recorder.close(ctx)
}

// Connections says how many are open, and how many may be.
func (r *Relay) Connections() (open, limit int) { return r.connections.Open(), r.connections.Max() }

// headerLines is how many lines a header may have: several times what Sine and a
// chain of proxies send.
const headerLines = 128

// Listen returns a listener that accepts from socket, for the relay's server. With
// a configuration it speaks TLS.
func (r *Relay) Listen(socket net.Listener, encryption *tls.Config) net.Listener {
	return r.connections.Listen(socket, encryption)
}

// Server returns a server for what Listen returned, with the relay's limits.
func (r *Relay) Server() *http.Server {
	s := &http.Server{
		Handler:           r,
		MaxHeaderBytes:    r.limits.Header,
		ReadHeaderTimeout: r.limits.ReadTimeout,
		ReadTimeout:       r.limits.ReadTimeout,
		WriteTimeout:      r.limits.WriteTimeout,
		IdleTimeout:       r.limits.IdleTimeout,
		ErrorLog:          slog.NewLogLogger(r.log.Handler(), slog.LevelDebug),
		// Otherwise "OPTIONS *" is answered 200 by the server itself.
		DisableGeneralOptionsHandler: true,
	}
	r.connections.Attach(s)
	return s
}
