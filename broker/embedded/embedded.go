// Package embedded runs a NATS server with JetStream inside the relay's own
// process: for a laptop, and for a single site that has no NATS of its own. It
// is the real nats-server, and any NATS client can connect to it.
//
// It promises that what it acknowledged is on disk (every message is synced by
// itself), that it starts anew by itself when it can store no more or its store was
// removed, that one store is never open twice, that each user may do what it may in
// deploy/nats and no more but what [edits] says, and that nothing in it ends the
// process. Streams, and what is published to them, are left to others.
package embedded

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Config says where the server keeps its messages and where it listens.
type Config struct {
	// StoreDir holds messages, passwords and lock. It is required, and
	// created for its owner alone if absent.
	StoreDir string
	// Listen is the host and port for other clients. Port 0 is the kernel's
	// choice, an empty host is every address.
	Listen string
	// TLSCertFile and TLSKeyFile turn on TLS for those clients. Both or
	// neither.
	TLSCertFile, TLSKeyFile string
	// AllowPlaintext permits listening beyond loopback without TLS: names
	// and phone numbers of visitors then cross the network readable.
	AllowPlaintext bool
	// MaxPayload is the largest message in bytes that the server must take;
	// it takes 1 MiB at least.
	MaxPayload int64
	// Names are those that the permissions are about.
	Names Names
	// Now is the wall clock; nil is [time.Now].
	Now func() time.Time
	// Logger receives the server's own warnings and errors, and the rest at
	// debug level; nil discards them. It gets no payload and no password.
	Logger *slog.Logger
}

// Server is a NATS server that is there for as long as the relay is: what runs is
// started anew when it stores nothing any more or its store was removed.
type Server struct {
	cfg      Config
	listener listener
	addr     string
	built    time.Time // the clock cannot be right before

	// Guarded by mu.
	mu        sync.RWMutex
	running   *instance // nil while none could be started
	passwords map[string]string
	broken    error // why nothing is stored, as last examined

	restarts restarts
	wanted   chan struct{} // asks for an examination
	quit     chan struct{}
	ended    chan struct{}
	stop     sync.Once
}

// Start returns when clients can connect and JetStream is up, or with an error
// that says what to change. A port in use wraps [syscall.EADDRINUSE].
func Start(cfg Config) (_ *Server, err error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{
		cfg: cfg, built: buildDate(), wanted: make(chan struct{}, 1),
		quit: make(chan struct{}), ended: make(chan struct{}),
	}
	if s.listener, err = newListener(cfg); err != nil {
		return nil, err
	}
	if err = s.launch(); err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(s.running.nats.Addr().String())
	if err == nil {
		s.listener.port, err = strconv.Atoi(port) // the same at each start
	}
	if err != nil {
		s.running.shutdown()
		return nil, fmt.Errorf("find the port: %w", err)
	}
	s.addr = net.JoinHostPort(s.listener.reachable(), port)
	s.sayClock()
	go s.supervise()
	return s, nil
}

// launch starts an instance.
func (s *Server) launch() error {
	opened, err := openStore(s.cfg.StoreDir, s.passwords)
	if err != nil {
		return err
	}
	started, err := newInstance(s.options(opened.dir), s.cfg.Names, opened, newLogger(s.cfg.Logger, s.examineSoon))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.passwords, s.broken = started, opened.passwords, nil
	return nil
}

func (s *Server) options(dir string) *server.Options {
	return &server.Options{
		ServerName: "sine-relay",
		Host:       s.listener.host,
		Port:       s.listener.port,
		TLSConfig:  s.listener.tls,
		JetStream:  true,
		MaxPayload: s.maxPayload(),
		StoreDir:   dir, // JetStream appends "jetstream"
		// The default syncs every two minutes: acknowledged messages would
		// not survive a power cut.
		SyncAlways: true,
		// As in deploy/nats: a decider that hangs gets no more questions after
		// three intervals, and not after six minutes.
		PingInterval: 5 * time.Second, MaxPingsOut: 2,
		NoSigs: true, // else it would end the process itself
		NoLog:  true, // its log is ours, see SetLoggerV2
	}
}

func (s *Server) maxPayload() int32 { return int32(max(s.cfg.MaxPayload, server.MAX_PAYLOAD_SIZE)) }

// ClientURL is a URL with a user and its password that most NATS clients on this
// machine can use; some take no user from a URL, and want both apart. A server that
// listens on every address is named as its certificate names it, and without TLS as
// 127.0.0.1. The URL is a secret.
func (s *Server) ClientURL(user string) string {
	return s.url(url.UserPassword(user, s.Password(user)))
}

// URL is the same without user and password.
func (s *Server) URL() string { return s.url(nil) }

func (s *Server) url(user *url.Userinfo) string {
	u := url.URL{Scheme: "nats", User: user, Host: s.Addr()}
	if s.listener.tls != nil {
		u.Scheme = "tls"
	}
	return u.String()
}

// Addr is the host and port of [Server.ClientURL]: fit for a log.
func (s *Server) Addr() string { return s.addr }

// InProcess is what the relay itself connects through, as [UserRelay]: no socket, no
// TLS. It fails while no server could be started.
func (s *Server) InProcess() nats.InProcessConnProvider { return s }

// InProcessConn is for nats.go.
func (s *Server) InProcessConn() (net.Conn, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.running == nil {
		return nil, cmp.Or(s.broken, errDown)
	}
	return s.running.nats.InProcessConn()
}

// Password is the secret of one of the users. It stays the same for as long as its
// file in the store directory does, and while the server runs.
func (s *Server) Password(user string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.passwords[user]
}

// StoreLimit is how many bytes all streams together may reserve.
func (s *Server) StoreLimit() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.running == nil {
		return 0
	}
	return s.running.nats.JetStreamConfig().MaxStore
}

// Shutdown disconnects everybody and returns when the store is closed. It may
// be called twice.
func (s *Server) Shutdown() {
	s.stop.Do(func() {
		close(s.quit)
		<-s.ended
		if s.running != nil {
			s.running.shutdown()
		}
	})
}
