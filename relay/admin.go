package relay

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/relay/connlimit"
	"github.com/sine-relay/sine-relay/visit"
)

// Bounds of the admin listener. Its clients have no key, so whoever has most
// connections makes room for others: a probe is answered while scrapes hang, as
// long as they are not its own.
const (
	adminConnections  = 32
	adminHeaderBytes  = 8 << 10
	adminReadTimeout  = 5 * time.Second
	adminWriteTimeout = 15 * time.Second
	adminIdleTimeout  = 2 * time.Minute // longer than between two scrapes
)

// AdminConfig is what an [Admin] is made of.
type AdminConfig struct {
	Gatherer   prometheus.Gatherer
	Readiness  *Readiness
	Registerer prometheus.Registerer // may be nil
	Logger     *slog.Logger          // likewise
	Synthetic  http.Handler          // likewise; see [Relay.Synthetic]
	KeyCheck   http.Handler          // likewise; see [Relay.KeyCheck]
	Contract   http.Handler          // likewise; what is below /contract/
}

// Admin answers on the admin listener: /metrics, /livez, /readyz, /contract/, and
// webhooks that test the relay. It is for people and machines inside; but for the last it
// asks for no key, so it must never be routed from outside.
type Admin struct {
	readiness   *Readiness
	connections *connlimit.Limiter
	routes      *http.ServeMux
}

// NewAdmin returns the pages of the admin listener.
func NewAdmin(cfg AdminConfig) *Admin {
	a := &Admin{
		readiness: cfg.Readiness,
		routes:    http.NewServeMux(),
		connections: connlimit.New(connlimit.Config{
			Listener: "admin", Max: adminConnections, HeaderLines: headerLines,
			Logger: cfg.Logger, Registerer: cfg.Registerer,
		}),
	}
	a.routes.Handle("GET /metrics", newScrapes(cfg.Gatherer))
	a.routes.HandleFunc("GET /livez", a.live)
	a.routes.HandleFunc("GET /readyz", a.ready)
	if cfg.Synthetic != nil {
		a.routes.Handle("POST /sine/", cfg.Synthetic)
	}
	if cfg.KeyCheck != nil {
		a.routes.Handle("GET /sine/", cfg.KeyCheck)
	}
	if cfg.Contract != nil {
		a.routes.Handle("GET /contract/", cfg.Contract)
	}
	return a
}

// live never depends on NATS: a restart would not bring it back.
func (a *Admin) live(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

func (a *Admin) ready(w http.ResponseWriter, req *http.Request) {
	state, health := a.readiness.State()
	if !state.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	text := state.String() + "\n"
	if req.URL.Query().Has("verbose") {
		for _, line := range health.Details {
			// The reason of the state may be among them.
			if !strings.Contains(text, line) {
				text += line + "\n"
			}
		}
	}
	io.WriteString(w, text)
}

// Listen returns a listener that accepts from socket, for the server.
func (a *Admin) Listen(socket net.Listener) net.Listener { return a.connections.Listen(socket, nil) }

// Server returns a server for what Listen returned.
func (a *Admin) Server() *http.Server {
	s := &http.Server{
		Handler:           a.routes,
		MaxHeaderBytes:    adminHeaderBytes,
		ReadHeaderTimeout: adminReadTimeout,
		ReadTimeout:       adminReadTimeout,
		WriteTimeout:      adminWriteTimeout,
		IdleTimeout:       adminIdleTimeout,
	}
	a.connections.Attach(s)
	return s
}

type syntheticKey struct{}

// Synthetic answers webhooks that test the relay. They need a key and are answered as
// any other, and everything that comes of them is marked as synthetic. It is for the
// admin listener: were the mark taken from outside, whoever has a key could have
// visitors taken for tests.
//
// A webhook must say of itself that it is one, by [visit.HeaderSynthetic]. Otherwise
// Sine's own, routed here by mistake, would be answered and taken for tests, too.
func (r *Relay) Synthetic() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get(visit.HeaderSynthetic) != "true" {
			http.Error(w, "The admin listener does not answer webhooks of Sine. A test webhook must have the header "+visit.HeaderSynthetic+": true.", http.StatusNotFound)
			return
		}
		r.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), syntheticKey{}, true)))
	})
}

// startTimeout is how long a relay that cannot reach NATS stays unready. After
// that it serves fallbacks: a response by the integration is better than the
// ingress' 503.
const startTimeout = 15 * time.Second

// Health is what the broker says about itself.
type Health struct {
	// Connected is set while everything can be asked and published.
	Connected bool
	// Verified is set once the streams were found usable.
	Verified bool
	// OrdersPending is set until the standing orders were known once.
	OrdersPending bool
	// Err is what only a person can repair: a refused credential, an unusable
	// stream.
	Err error
	// Warning is what a person must repair while everything else works, or nil.
	// It keeps the relay ready.
	Warning error
	// Details are lines for somebody who looks closer.
	Details []string
}

// Readiness says whether requests should be sent here. It is unready only while
// starting or draining: if losing NATS made it unready, every replica would
// leave the Service at once and visitors would get the ingress' 503 in place of
// the integration's fallback.
type Readiness struct {
	health   func() Health
	started  time.Time
	ready    atomic.Bool
	draining atomic.Bool
}

// NewReadiness starts in the state "starting".
func NewReadiness(health func() Health) *Readiness {
	return &Readiness{health: health, started: time.Now()}
}

// Drain makes it unready for good.
func (r *Readiness) Drain() { r.draining.Store(true) }

// State is one of a closed set of words, with the reason of anything but ready.
type State struct {
	Ready  bool
	Word   string // ready, degraded, starting, draining
	Reason string
}

// State says where the relay stands.
func (r *Readiness) State() (State, Health) { return r.stateAt(time.Now()) }

func (r *Readiness) stateAt(now time.Time) (State, Health) {
	h := r.health()
	switch {
	case r.draining.Load():
		return State{Word: "draining", Reason: "shutting down"}, h
	case !r.ready.Load() && !r.mayStart(h, now):
		reason := "waiting for NATS and its streams"
		switch {
		case h.Err != nil:
			reason = h.Err.Error()
		case h.Verified && h.Warning != nil:
			reason = "waiting for the standing orders: " + h.Warning.Error()
		case h.Verified:
			reason = "waiting for the standing orders"
		}
		return State{Word: "starting", Reason: reason}, h
	}
	r.ready.Store(true)
	switch {
	case h.Err != nil:
		return State{Ready: true, Word: "degraded", Reason: h.Err.Error()}, h
	case !h.Connected:
		return State{Ready: true, Word: "degraded", Reason: "not connected to NATS"}, h
	case !h.Verified:
		return State{Ready: true, Word: "degraded", Reason: "the streams have not been verified yet"}, h
	case h.Warning != nil:
		return State{Ready: true, Word: "degraded", Reason: h.Warning.Error()}, h
	default:
		return State{Ready: true, Word: "ready"}, h
	}
}

// mayStart: an error that only a person can repair keeps a new relay unready, which
// stalls a bad roll-out; a NATS that is merely unavailable does not for long. Neither
// do standing orders that cannot be read: then only deciders let anybody in, and
// events are stored all the same.
func (r *Readiness) mayStart(h Health, now time.Time) bool {
	if h.Err != nil {
		return false
	}
	waited := now.Sub(r.started) >= startTimeout
	return (h.Verified || !h.Connected && waited) && (!h.OrdersPending || waited)
}

// String is the state in one line.
func (s State) String() string {
	if s.Reason == "" {
		return s.Word
	}
	return fmt.Sprintf("%s: %s", s.Word, s.Reason)
}
