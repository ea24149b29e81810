package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/broker/spool"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/relay"
)

// app is a running relay with everything that it needs.
type app struct {
	settings  config.Settings
	log       *slog.Logger
	embedded  *embedded.Server // nil when NATS is somewhere else
	spool     *spool.Spool     // nil where there is none
	broker    *broker.Broker
	relay     *relay.Relay
	readiness *relay.Readiness
	reloader  *reloader
	census    *census
	hangup    chan os.Signal

	certificate               certificates
	public, admin             *http.Server
	publicSocket, adminSocket net.Listener
}

// start brings everything up, in the order in which it is needed. On an error
// nothing is left behind. The relay publishes to what publisher makes of the broker.
func start(s config.Settings, load func() (config.Settings, error), log *slog.Logger, publisher func(*broker.Broker) relay.Publisher) (_ *app, err error) {
	a := &app{settings: s, log: log, hangup: make(chan os.Signal, 1)}
	signal.Notify(a.hangup, syscall.SIGHUP) // unless it is taken, it ends the program
	defer func() {
		if err != nil {
			a.release()
		}
	}()
	if files, known := openFiles(); known {
		if said := fewFiles(files, s.MaxConnections); said != "" {
			log.Warn(said)
		}
	}
	certificate, err := loadCertificate(s.TLSCertFile, s.TLSKeyFile)
	if err != nil {
		return nil, err
	}
	a.certificate.Store(certificate)
	if a.publicSocket, err = listen("SINE_RELAY_LISTEN", s.Listen); err != nil {
		return nil, err
	}
	if a.adminSocket, err = listen("SINE_RELAY_ADMIN_LISTEN", s.AdminListen); err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registerBuildInfo(registry)
	registerLog(registry)

	if s.NATSURL == "" {
		if a.embedded, err = embedded.Start(embeddedConfig(s, log)); err != nil {
			return nil, fmt.Errorf("embedded NATS (SINE_RELAY_NATS_LISTEN %s, SINE_RELAY_NATS_STORE_DIR %s): %w", s.NATSListen, s.NATSStoreDir, err)
		}
	}
	cfg := brokerConfig(s, a.embedded, log, registry)
	if cfg.Spool, err = openSpool(s, log); err != nil {
		return nil, err
	}
	a.spool = cfg.Spool
	if a.broker, err = broker.Connect(cfg); err != nil {
		return nil, err
	}
	a.reloader = newReloader(a, load, registry)
	if a.relay, err = relay.New(relayConfig(s, a.reloader.integrations(), a.broker, publisher(a.broker), log, registry)); err != nil {
		return nil, err
	}
	a.broker.Share(len(a.relay.Integrations()))
	a.reloader.start()
	a.census = newCensus(a, registry)
	registerExpiry(a, registry)
	a.readiness = relay.NewReadiness(a.health)
	if err = a.broker.Announce(a.announcement()); err != nil {
		return nil, err
	}
	a.public, a.publicSocket = a.relay.Server(), a.relay.Listen(a.publicSocket, a.encryption())
	admin := relay.NewAdmin(relay.AdminConfig{
		Gatherer: registry, Readiness: a.readiness, Registerer: registry, Logger: log,
		Trials: a.relay.Trials(), KeyCheck: a.relay.KeyCheck(),
	})
	a.admin, a.adminSocket = admin.Server(), admin.Listen(a.adminSocket)
	return a, nil
}

// announcement is what other programs on NATS see of this relay.
func (a *app) announcement() broker.Announcement {
	return broker.Announcement{
		Version: versionOf(),
		State:   func() string { state, _ := a.readiness.State(); return state.Word },
		Sites:   a.sites,
	}
}

// sites are those of the integrations in force, each once.
func (a *app) sites() []string {
	all := []string{}
	for _, i := range a.relay.Integrations() {
		all = append(all, i.Site)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// openSpool opens the spool, if there is to be one. A directory that never was a
// spool and cannot become one is a slip of the configuration. One that may be and
// cannot be opened must not close the door as well: the relay goes on without,
// and the spool says so and opens once it can.
func openSpool(s config.Settings, log *slog.Logger) (*spool.Spool, error) {
	if s.SpoolDir == "" {
		return nil, nil
	}
	opened, err := spool.Open(spool.Config{Dir: s.SpoolDir, MaxBytes: s.SpoolMaxBytes, MaxAge: s.SpoolMaxAge, Logger: log})
	if err != nil {
		return nil, fmt.Errorf("SINE_RELAY_SPOOL_DIR: %w", err)
	}
	if said := smallDisk(s); said != "" {
		log.Warn(said)
	}
	return opened, nil
}

// listen opens a socket.
func listen(variable, address string) (net.Listener, error) {
	socket, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return socket, nil
}

// encryption is how TLS is spoken on the public listener, with the certificate
// that is in force when a caller connects; nil where there is none.
func (a *app) encryption() *tls.Config {
	if a.certificate.Load() == nil {
		return nil
	}
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.certificate.Load(), nil },
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
	}
}

// watch logs each change of readiness once.
func (a *app) watch(ctx context.Context) {
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	last := ""
	for {
		state, _ := a.readiness.State()
		if now := state.String(); now != last {
			level := slog.LevelInfo
			if state.Word == "degraded" {
				level = slog.LevelWarn
			}
			a.log.Log(ctx, level, "readiness", "state", state.Word, "reason", state.Reason)
			last = now
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// announce is the one line at the start.
func (a *app) announce() {
	nats := cmp.Or(a.broker.Status().Server, "not connected yet")
	if a.embedded != nil {
		nats = fmt.Sprintf("embedded, %s, %s", a.embedded.URL(), a.settings.NATSStoreDir)
	}
	a.log.Info("sine-relay",
		"version", versionOf(), "listen", a.publicSocket.Addr().String(), "admin", a.adminSocket.Addr().String(),
		"nats", nats, "integrations", len(a.settings.Integrations), "memory_limit", memoryLimit(),
		"streams", strings.Join([]string{a.settings.EventStream, a.settings.DecisionStream, a.settings.QuarantineStream}, ","))
}

// orderly reports how a command that ran an app ended.
func orderly(in invocation, err error) int {
	if err != nil {
		fmt.Fprintln(in.err, "sine-relay:", printableError(err))
		return exitFailed
	}
	return exitOK
}
