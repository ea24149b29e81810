// Package server is a running relay: it joins the relay and the broker as the
// settings say, follows changes of the configuration, and shuts down in the order
// that loses nothing.
package server

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
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/broker/outbox/spool"
	"github.com/sine-relay/sine-relay/broker/outbox/window"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// Server is a running relay with everything that it needs.
type Server struct {
	Settings  config.Settings
	Log       *slog.Logger
	Embedded  *embedded.Server // nil when NATS is somewhere else
	Broker    *broker.Broker
	Readiness *relay.Readiness

	version  string
	spool    *spool.Spool // nil where there is none
	windows  map[visit.Root]*window.Window
	relay    *relay.Relay
	reloader *reloader
	monitor  *monitor
	sighup   chan os.Signal

	certificate               certificates
	public, admin             *http.Server
	publicSocket, adminSocket net.Listener
}

// Options are what a relay starts with.
type Options struct {
	Settings config.Settings
	// Load reads the rules again, see [config.LoadWithoutKeys].
	Load    func() (config.Settings, error)
	Log     *slog.Logger
	Version string
	// Publisher and Asker wrap the broker for what the relay publishes and asks; nil
	// changes nothing.
	Publisher func(*broker.Broker) relay.Publisher
	Asker     func(*broker.Broker) relay.Asker
	// InProcess wraps how the relay reaches the embedded NATS; nil changes nothing.
	InProcess func(InProcess) InProcess
	// DeskHere is set where a desk in this process has its stream in the embedded NATS.
	DeskHere bool
	// Clock is as in [relay.Config]; nil is the machine's.
	Clock func() time.Time
}

// InProcess is a NATS within the process.
type InProcess interface{ InProcessConn() (net.Conn, error) }

// Start brings everything up, in the order in which it is needed. On an error
// nothing is left behind.
func Start(o Options) (_ *Server, err error) {
	s, log := o.Settings, o.Log
	srv := &Server{Settings: s, Log: log, version: o.Version, sighup: make(chan os.Signal, 1)}
	signal.Notify(srv.sighup, syscall.SIGHUP) // unless it is taken, it ends the program
	defer func() {
		if err != nil {
			srv.release()
		}
	}()
	if files, known := openFiles(); known {
		if warning := fewFiles(files, s.MaxConnections); warning != "" {
			log.Warn(warning)
		}
	}
	certificate, err := loadCertificate(s.TLSCertFile, s.TLSKeyFile)
	if err != nil {
		return nil, err
	}
	srv.certificate.Store(certificate)
	if srv.publicSocket, err = Listen("SINE_RELAY_LISTEN", s.Listen); err != nil {
		return nil, err
	}
	if srv.adminSocket, err = Listen("SINE_RELAY_ADMIN_LISTEN", s.AdminListen); err != nil {
		return nil, err
	}
	registry := NewRegistry(o.Version)
	registerLog(registry)

	if s.NATSURL == "" {
		if srv.Embedded, err = embedded.Start(embeddedConfig(s, log)); err != nil {
			return nil, fmt.Errorf("embedded NATS (SINE_RELAY_NATS_LISTEN %s, SINE_RELAY_NATS_STORE_DIR %s): %w", s.NATSListen, s.NATSStoreDir, withRemedy(err))
		}
	}
	cfg := BrokerConfig(s, srv.Embedded, log, registry)
	cfg.Streams.DeskHere = o.DeskHere
	if o.InProcess != nil && srv.Embedded != nil {
		cfg.NATS.InProcess = o.InProcess(cfg.NATS.InProcess)
	}
	if cfg.Spool, err = openSpool(s, log); err != nil {
		return nil, err
	}
	srv.spool = cfg.Spool
	if cfg.Windows, err = openWindows(s, log); err != nil {
		return nil, err
	}
	srv.windows = cfg.Windows
	if srv.Broker, err = broker.Connect(cfg); err != nil {
		return nil, err
	}
	srv.reloader = newReloader(srv, o.Load, registry)
	var publisher relay.Publisher = srv.Broker
	if o.Publisher != nil {
		publisher = o.Publisher(srv.Broker)
	}
	ofRelay := relayConfig(s, srv.reloader.integrations(), srv.Broker, publisher, log, registry)
	if o.Asker != nil {
		ofRelay.Asker = o.Asker(srv.Broker)
	}
	ofRelay.Clock = o.Clock
	if srv.relay, err = relay.New(ofRelay); err != nil {
		return nil, err
	}
	srv.Broker.Share(len(srv.relay.Integrations()))
	srv.reloader.start()
	srv.monitor = newMonitor(srv, registry)
	registerExpiry(srv, registry)
	srv.Readiness = relay.NewReadiness(srv.health)
	if err = srv.Broker.Announce(srv.announcement()); err != nil {
		return nil, err
	}
	srv.public, srv.publicSocket = srv.relay.Server(), srv.relay.Listen(srv.publicSocket, Encryption(&srv.certificate))
	admin := relay.NewAdmin(relay.AdminConfig{
		Gatherer: registry, Readiness: srv.Readiness, Registerer: registry, Logger: log,
		Synthetic: srv.relay.Synthetic(), KeyCheck: srv.relay.KeyCheck(), Contract: newContract(ContractNames(s)),
	})
	srv.admin, srv.adminSocket = admin.Server(), admin.Listen(srv.adminSocket)
	return srv, nil
}

// announcement is what other programs on NATS see of this relay.
func (srv *Server) announcement() broker.Announcement {
	return broker.Announcement{
		Version: srv.version,
		State:   func() string { state, _ := srv.Readiness.State(); return state.Word },
		Sites:   srv.sites, Integrations: srv.relay.Statuses,
	}
}

// sites are those of the integrations in force, each once.
func (srv *Server) sites() (all []string) {
	for _, i := range srv.relay.Integrations() {
		all = append(all, i.Site)
	}
	return distinct(all)
}

// openSpool opens the spool, if there is to be one. A directory that never was a
// spool and cannot become one is an error of the configuration. One that may be and
// cannot be opened must not keep visitors out as well: the relay goes on without,
// and the spool reports that and opens once it can.
func openSpool(s config.Settings, log *slog.Logger) (*spool.Spool, error) {
	if s.SpoolDir == "" {
		return nil, nil
	}
	opened, err := spool.Open(spool.Config{Dir: s.SpoolDir, MaxBytes: s.SpoolMaxBytes, MaxAge: s.SpoolMaxAge, Logger: log})
	if err != nil {
		return nil, fmt.Errorf("SINE_RELAY_SPOOL_DIR: %w", err)
	}
	if warning := SmallDisk(s); warning != "" {
		log.Warn(warning)
	}
	return opened, nil
}

// windowShare is what part of the spool's bytes the windows may take up, beside them, and
// maxWindow how many bytes at most.
const (
	windowShare = 4
	maxWindow   = 256 << 20
)

// openWindows opens the windows of messages that NATS has acknowledged and may not have
// synced, beside the spool. Those that cannot be opened now open once they can: visitors
// are served all the same.
func openWindows(s config.Settings, log *slog.Logger) (map[visit.Root]*window.Window, error) {
	if s.SpoolDir == "" {
		return nil, nil
	}
	dir := filepath.Join(s.SpoolDir, "window")
	if s.WindowAge() == 0 { // what an earlier configuration has left is of visitors
		if err := os.RemoveAll(dir); err != nil {
			log.Error("cannot delete what was kept until NATS has synced it", "err", err.Error())
		}
		return nil, nil
	}
	windows := make(map[visit.Root]*window.Window)
	// Most of it is for events; records are small.
	for root, share := range map[visit.Root]int64{visit.RootEvent: 2, visit.RootQuarantine: 4, visit.RootDecision: 4} {
		opened, err := window.Open(window.Config{
			Dir: filepath.Join(dir, string(root)), MaxAge: s.WindowAge(), MaxBytes: min(s.SpoolMaxBytes/windowShare, maxWindow) / share, Logger: log,
		})
		if err != nil {
			closeWindows(windows)
			return nil, fmt.Errorf("SINE_RELAY_SPOOL_DIR: %w", err)
		}
		windows[root] = opened
	}
	return windows, nil
}

func closeWindows(windows map[visit.Root]*window.Window) {
	for _, w := range windows {
		w.Close()
	}
}

// Listen listens at an address; an error names the variable that it comes from.
func Listen(variable, address string) (net.Listener, error) {
	socket, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return socket, nil
}

// Encryption is how TLS is spoken on a public listener, with the certificate that is in
// force when a caller connects; nil where there is none.
func Encryption(inForce *atomic.Pointer[tls.Certificate]) *tls.Config {
	if inForce.Load() == nil {
		return nil
	}
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return inForce.Load(), nil },
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
	}
}

// watch logs each change of readiness once.
func (srv *Server) watch(ctx context.Context) {
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	last := ""
	for {
		state, _ := srv.Readiness.State()
		if now := state.String(); now != last {
			level := slog.LevelInfo
			if state.Word == "degraded" {
				level = slog.LevelWarn
			}
			srv.Log.Log(ctx, level, "readiness", "state", state.Word, "reason", state.Reason)
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
func (srv *Server) announce() {
	nats := cmp.Or(srv.Broker.Status().Server, "not connected yet")
	if srv.Embedded != nil {
		nats = fmt.Sprintf("embedded, %s, %s", srv.Embedded.URL(), srv.Settings.NATSStoreDir)
	}
	srv.Log.Info("sine-relay",
		"version", srv.version, "listen", srv.publicSocket.Addr().String(), "admin", srv.adminSocket.Addr().String(),
		"nats", nats, "integrations", len(srv.Settings.Integrations), "memory_limit", memoryLimit(),
		"streams", strings.Join([]string{srv.Settings.EventStream, srv.Settings.DecisionStream, srv.Settings.QuarantineStream}, ","))
}

// NewRegistry has the metrics that every process has: of Go, of the process, and the
// version.
func NewRegistry(version string) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "sine_relay", Name: "build_info", Help: "Always 1; the labels name the build.",
	}, []string{"version", "go_version"})
	info.WithLabelValues(version, runtime.Version()).Set(1)
	registry.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// PublicAddr is where Sine's calls come in.
func (srv *Server) PublicAddr() net.Addr { return srv.publicSocket.Addr() }

// AdminAddr is where readiness and the metrics are.
func (srv *Server) AdminAddr() net.Addr { return srv.adminSocket.Addr() }
