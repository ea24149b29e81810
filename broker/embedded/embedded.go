// Package embedded runs a NATS server with JetStream inside the relay's own
// process: for a laptop, and for a single site that has no NATS of its own. It
// is the real nats-server, and any NATS client can connect to it.
//
// It promises that what it acknowledged is on disk (every message is synced by
// itself), that one store is never open twice, that each user may do what it may in
// deploy/nats and no more but what [edits] says, and that nothing in it ends the
// process. Streams, and what is published to them, are left to others.
package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// patience bounds a start. It is long because a store that was not closed is read
// whole, and giving up half-way would only begin again.
const patience = 2 * time.Minute

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
	// Logger receives the server's own warnings and errors, and the rest at
	// debug level; nil discards them. It gets no payload and no password.
	Logger *slog.Logger
}

// Server is a running NATS server.
type Server struct {
	nats     *server.Server
	log      *logger
	store    *store
	listener listener
	addr     string
	largest  int64
	names    Names
	stop     sync.Once
}

// Start returns when clients can connect and JetStream is up, or with an error
// that says what to change. A port in use wraps [syscall.EADDRINUSE].
func Start(cfg Config) (_ *Server, err error) {
	s := &Server{log: newLogger(cfg.Logger), largest: cfg.MaxPayload, names: cfg.Names}
	if s.listener, err = newListener(cfg); err != nil {
		return nil, err
	}
	if s.store, err = openStore(cfg.StoreDir); err != nil {
		return nil, err
	}
	options := s.options()
	if err = setAccounts(options, s.names, s.store.passwords); err == nil {
		s.nats, err = server.NewServer(options)
	}
	if err != nil {
		s.store.close()
		return nil, fmt.Errorf("configure the NATS server: %w", err)
	}
	s.nats.SetLoggerV2(s.log, false, false, false)
	if err := s.run(); err != nil {
		return nil, fmt.Errorf("start the NATS server: %w", err)
	}
	return s, nil
}

func (s *Server) options() *server.Options {
	return &server.Options{
		ServerName: "sine-relay",
		Host:       s.listener.host,
		Port:       s.listener.port,
		TLSConfig:  s.listener.tls,
		JetStream:  true,
		MaxPayload: int32(max(s.largest, server.MAX_PAYLOAD_SIZE)),
		StoreDir:   s.store.dir, // JetStream appends "jetstream"
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

// run starts the server and leaves nothing behind when that fails.
func (s *Server) run() error {
	started := make(chan struct{})
	go func() {
		s.nats.Start()
		close(started)
	}()
	select {
	case <-started:
	case <-time.After(patience):
		// The store may still be open: its lock goes with it, not before.
		go func() { <-started; s.Shutdown() }()
		return fmt.Errorf("not ready after %s", patience)
	}
	if err := s.ready(); err != nil {
		s.Shutdown()
		return err
	}
	return nil
}

func (s *Server) ready() error {
	select {
	case fault := <-s.log.fatal:
		return errors.New(fault)
	default:
	}
	if !s.nats.ReadyForConnections(patience) || !s.nats.JetStreamEnabled() {
		return errors.New("it does not accept connections, or has no JetStream")
	}
	_, port, err := net.SplitHostPort(s.nats.Addr().String())
	if err != nil {
		return fmt.Errorf("find the port: %w", err)
	}
	s.addr = net.JoinHostPort(s.listener.reachable(), port)
	return nil
}

// ClientURL is a URL with a user and its password that most NATS clients on this
// machine can use; some take no user from a URL, and want both apart. A server that listens on every address is named as its
// certificate names it, and without TLS as 127.0.0.1. The URL is a secret.
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
// TLS.
func (s *Server) InProcess() nats.InProcessConnProvider { return s.nats }

// Password is the secret of one of the users. It stays the same for as long as its
// file in the store directory does.
func (s *Server) Password(user string) string { return s.store.passwords[user] }

// Shutdown disconnects everybody and returns when the store is closed. It may
// be called twice.
func (s *Server) Shutdown() {
	s.stop.Do(func() {
		s.nats.Shutdown()
		s.nats.WaitForShutdown()
		s.store.close()
	})
}
