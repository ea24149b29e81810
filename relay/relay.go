// Package relay answers Sine's webhook. It authenticates a call, understands
// it, puts the question or the event to the broker it was given, and answers.
//
// It promises that every call gets one truthful answer within the budgets it
// was configured with: a check-in request the decision or the integration's
// fallback, an event a 200 only once it is stored. Nothing personal leaves it but
// to the broker and, in the answer, to Sine.
//
// It knows Sine's JSON and HTTP, and nothing of NATS.
package relay

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/relay/clientip"
	"github.com/sine-relay/sine-relay/relay/connlimit"
	"github.com/sine-relay/sine-relay/visit"
)

// Asker puts a question to a decider.
type Asker interface {
	// Ask returns the decision, or an error that wraps visit.ErrNoDecider,
	// visit.ErrTimeout, visit.ErrDisconnected, visit.ErrDenied or
	// visit.ErrBadReply. It returns when ctx ends at the latest.
	Ask(ctx context.Context, question visit.Message) (visit.Decision, error)
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
	// Proxies are those whose word about the caller's address counts.
	Proxies clientip.Proxies
	// RefusePlainHTTP refuses calls of which a proxy says that they came to it by
	// http. They are counted in any case.
	RefusePlainHTTP bool
	Logger          *slog.Logger
	Registerer      prometheus.Registerer
}

// Relay answers webhooks. It is an [http.Handler] for the public listener and
// safe for concurrent use.
type Relay struct {
	book       atomic.Pointer[book]
	opening    sync.Mutex // one book after another
	subjects   visit.Subjects
	asker      Asker
	publisher  Publisher
	orders     Orders
	recorder   *recorder
	captures   captures
	limits     Limits
	limiter    *limiter
	proxies    clientip.Proxies
	failures   *clientip.Limiter
	refusals   *refusals
	unnamed    unnamedCallers
	repeats    *repeats
	identities *identities
	metrics    *metrics
	log        *slog.Logger
	handler    http.Handler
	draining   atomic.Bool
	now        func() time.Time

	strictOrders bool

	connections *connlimit.Limiter

	refusePlainHTTP bool
}

// New returns a relay for the configured integrations, or everything that is
// wrong with them.
func New(cfg Config) (*Relay, error) {
	limits := cfg.Limits.complete()
	r := &Relay{
		subjects:   cfg.Subjects,
		asker:      cfg.Asker,
		publisher:  cfg.Publisher,
		orders:     orNone(cfg.Orders),
		limits:     limits,
		limiter:    newLimiter(limits),
		proxies:    cfg.Proxies,
		failures:   clientip.NewLimiter(clientip.DefaultLimits),
		refusals:   newRefusals(cfg.Logger),
		repeats:    newRepeats(),
		identities: newIdentities(),
		log:        cfg.Logger,
		now:        time.Now,

		strictOrders:    cfg.StrictOrders,
		refusePlainHTTP: cfg.RefusePlainHTTP,
	}
	book, err := newBook(cfg.Integrations, limits)
	if err != nil {
		return nil, err
	}
	r.metrics = newMetrics(cfg.Registerer)
	r.connections = connlimit.New(connlimit.Config{
		Listener: "public", Max: limits.Connections, HeaderLines: headerLines, HandshakeTimeout: limits.ReadTimeout,
		Logger: cfg.Logger, Registerer: cfg.Registerer,
	})
	r.recorder = newRecorder(cfg, limits, r.metrics)
	r.open(book)
	r.handler = r.observe(r.routes())
	return r, nil
}

// ServeHTTP answers one call.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.handler.ServeHTTP(w, req) }

// Drain asks callers to leave: each answer from now on closes its connection, so
// that none is cut off with a call on its way when the listener closes.
func (r *Relay) Drain() { r.draining.Store(true) }

// Settle waits until the records of all answers are stored or given up, or ctx
// ends. It is called when no more calls come.
func (r *Relay) Settle(ctx context.Context) {
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
