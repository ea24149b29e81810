// Package deskserver is a running desk: it joins the desk's pages and NATS as the settings
// say, and ends in the order that cuts nobody off.
package deskserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker/admin"
	deskbroker "github.com/sine-relay/sine-relay/broker/desk"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/desk"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/connlimit"
)

// Bounds of the listener for people. A page that is followed live has a connection of
// its own for as long as it is open.
const (
	maxConnections = 1000
	maxHeaderLines = 100
	headerBytes    = 32 << 10 // sessions and what a provider's way back has
	readTimeout    = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	// pageTimeout is how long a page may take.
	pageTimeout = 60 * time.Second
	// shutdownTimeout is for pages that are being made. Live ones end at once.
	shutdownTimeout = 10 * time.Second
)

// Options are what a desk starts with.
type Options struct {
	Settings config.Settings
	Desk     config.Desk
	Log      *slog.Logger
	Version  string
	// NATS is how it connects.
	NATS admin.Config
	// Trier makes the page Try it; without one there is none.
	Trier func(desk.Broker) desk.Trier
}

// Server is a running desk.
type Server struct {
	log         *slog.Logger
	broker      *deskbroker.Desk
	desk        *desk.Desk
	readiness   *relay.Readiness
	certificate *certificate

	public, admin             *http.Server
	publicSocket, adminSocket net.Listener
}

// Start brings everything up. On an error nothing is left behind.
func Start(o Options) (_ *Server, err error) {
	srv := &Server{log: o.Log}
	defer func() {
		if err != nil {
			srv.release()
		}
	}()
	if srv.certificate, err = newCertificate(o.Settings.DeskTLSCertFile, o.Settings.DeskTLSKeyFile, o.Log); err != nil {
		return nil, fmt.Errorf("SINE_RELAY_DESK_TLS_CERT_FILE: %w", err)
	}
	if srv.publicSocket, err = server.Listen("SINE_RELAY_DESK_LISTEN", o.Settings.DeskListen); err != nil {
		return nil, err
	}
	if srv.adminSocket, err = server.Listen("SINE_RELAY_DESK_ADMIN_LISTEN", o.Settings.DeskAdminListen); err != nil {
		return nil, err
	}
	registry := server.NewRegistry(o.Version)
	if srv.broker, err = deskbroker.Open(deskbroker.Config{Config: o.NATS, Logger: o.Log, Registerer: registry}); err != nil {
		return nil, err
	}
	if srv.desk, err = newDesk(o, srv.broker, registry); err != nil {
		return nil, err
	}
	srv.readiness = relay.NewReadiness(srv.health)
	srv.listenForPeople(o.Log, registry)
	admin := relay.NewAdmin(relay.AdminConfig{Gatherer: registry, Readiness: srv.readiness, Registerer: registry, Logger: o.Log})
	srv.admin, srv.adminSocket = admin.Server(), admin.Listen(srv.adminSocket)
	return srv, nil
}

// listenForPeople makes the server of the pages.
func (srv *Server) listenForPeople(log *slog.Logger, reg prometheus.Registerer) {
	limiter := connlimit.New(connlimit.Config{
		Listener: "public", Max: maxConnections, HeaderLines: maxHeaderLines, HandshakeTimeout: readTimeout, Logger: log, Registerer: reg,
	})
	srv.public = &http.Server{
		Handler:           withDeadlines(srv.desk),
		MaxHeaderBytes:    headerBytes,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
	}
	limiter.Attach(srv.public)
	srv.publicSocket = limiter.Listen(srv.publicSocket, srv.certificate.config())
}

// health is what readiness says: ready once a page can be true, and for good. While NATS
// is away the pages say so, which helps people more than the 503 of an ingress.
func (srv *Server) health() relay.Health {
	connected := srv.broker.Connected()
	h := relay.Health{Connected: connected == nil, Verified: srv.desk.Ready() == nil}
	for _, err := range []error{connected, srv.desk.Ready(), srv.certificate.failure()} {
		if err != nil {
			h.Details = append(h.Details, terminal.PrintableLines(err.Error()))
		}
	}
	h.Warning = srv.certificate.failure()
	return h
}

// Run serves until ctx ends and then shuts down. It returns nil after an orderly shutdown.
func (srv *Server) Run(ctx context.Context) error {
	var running sync.WaitGroup
	following, stop := context.WithCancel(context.Background())
	failed := make(chan error, 3)
	for listener, socket := range map[*http.Server]net.Listener{srv.public: srv.publicSocket, srv.admin: srv.adminSocket} {
		go func() {
			if err := listener.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", socket.Addr(), err)
			}
		}()
	}
	running.Go(func() {
		if err := srv.desk.Run(following); err != nil {
			failed <- err
		}
	})
	running.Go(func() { srv.certificate.follow(following) })
	srv.log.Info("sine-relay desk", "listen", srv.publicSocket.Addr().String(), "admin", srv.adminSocket.Addr().String())
	var err error
	select {
	case <-ctx.Done():
		srv.log.Info("stopping")
	case err = <-failed:
	}
	srv.readiness.Drain()
	stop() // ends what is followed live, for which a shutdown would wait
	err = errors.Join(err, srv.shutdown())
	running.Wait()
	srv.release()
	srv.log.Info("stopped")
	return err
}

// shutdown lets pages that are being made come to their end.
func (srv *Server) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	return errors.Join(srv.public.Shutdown(ctx), srv.admin.Shutdown(ctx))
}

// release closes whatever is open.
func (srv *Server) release() {
	for _, one := range []*http.Server{srv.public, srv.admin} {
		if one != nil {
			one.Close()
		}
	}
	for _, socket := range []net.Listener{srv.publicSocket, srv.adminSocket} {
		if socket != nil {
			socket.Close()
		}
	}
	if srv.broker != nil {
		srv.broker.Close()
	}
}

// URL is where people reach it from this machine.
func (srv *Server) URL() string {
	scheme := "http://"
	if srv.certificate != nil {
		scheme = "https://"
	}
	address := srv.publicSocket.Addr().String()
	if tcp, ok := srv.publicSocket.Addr().(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		address = strings.Replace(address, tcp.IP.String(), "127.0.0.1", 1)
		address = strings.Replace(address, "[127.0.0.1]", "127.0.0.1", 1)
	}
	return scheme + address
}

// AdminAddr is where readiness and the metrics are.
func (srv *Server) AdminAddr() net.Addr { return srv.adminSocket.Addr() }
