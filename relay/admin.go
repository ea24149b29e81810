package relay

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/relay/connlimit"
)

// Bounds of the admin listener. Its callers have no key, so whoever has most
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
	Trials     http.Handler          // likewise; see [Relay.Trials]
	KeyCheck   http.Handler          // likewise; see [Relay.KeyCheck]
}

// Admin answers on the admin listener: /metrics, /livez, /readyz, and what tries the
// relay out. It is for people and machines inside; but for the last it asks for no
// key, so it must never be routed from outside.
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
	if cfg.Trials != nil {
		a.routes.Handle("POST /sine/", cfg.Trials)
	}
	if cfg.KeyCheck != nil {
		a.routes.Handle("GET /sine/", cfg.KeyCheck)
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
	said := state.String() + "\n"
	if req.URL.Query().Has("verbose") {
		for _, line := range health.Details {
			// The reason of the state may be among them.
			if !strings.Contains(said, line) {
				said += line + "\n"
			}
		}
	}
	io.WriteString(w, said)
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
