// Package natstest runs a throw-away NATS server with JetStream inside a
// test: a real one, on a port that the kernel chooses, with its store in the
// test's own directory. It is gone when the test ends.
package natstest

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/internal/wait"
)

// Server is a running NATS server.
type Server struct {
	t       testing.TB
	options *server.Options
	running *server.Server
	tracer  *Tracer // nil without a judge
}

// Start runs a server. Each change may adjust its options first, for example
// to add users with permissions.
func Start(t testing.TB, change ...func(*server.Options)) *Server {
	t.Helper()
	o := &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT,
		JetStream: true, StoreDir: t.TempDir(),
		NoLog: true, NoSigs: true,
	}
	for _, c := range change {
		c(o)
	}
	s := &Server{t: t, options: o}
	if NewJudge != nil {
		s.tracer = NewTracer(silent{}, NewJudge())
		t.Cleanup(func() { s.tracer.end(t) })
	}
	s.start()
	t.Cleanup(s.Stop)
	return s
}

// URL is where the server listens, or did before it was stopped.
func (s *Server) URL() string { return s.running.ClientURL() }

// Users are those that it lets in by a password; without any it lets in everybody,
// unless its options say otherwise.
func (s *Server) Users() []*server.User { return s.options.Users }

// Server is the running server itself.
func (s *Server) Server() *server.Server { return s.running }

// Stop ends the server and returns when it is down. It may be called twice.
func (s *Server) Stop() {
	s.running.Shutdown()
	s.running.WaitForShutdown()
}

// Restart runs a stopped server again, on the same port and store. Changes
// apply to its options first.
func (s *Server) Restart(change ...func(*server.Options)) {
	s.t.Helper()
	for _, c := range change {
		c(s.options)
	}
	s.start()
}

func (s *Server) start() {
	s.t.Helper()
	o := s.options.Clone()
	running, err := server.NewServer(o)
	if err != nil {
		s.t.Fatalf("new NATS server: %v", err)
	}
	if s.tracer != nil {
		running.SetLoggerV2(s.tracer, false, true, false)
	}
	running.Start()
	if !running.ReadyForConnections(wait.Limit) {
		s.t.Fatal("NATS server is not ready")
	}
	s.running = running
	s.options.Port = o.Port
}

// Connect returns a connection that is closed when the test ends.
func (s *Server) Connect(o ...nats.Option) *nats.Conn {
	s.t.Helper()
	patient := []nats.Option{nats.Timeout(wait.Limit)} // the machine may be busy
	nc, err := nats.Connect(s.URL(), append(patient, o...)...)
	if err != nil {
		s.t.Fatalf("connect to NATS: %v", err)
	}
	s.t.Cleanup(nc.Close)
	return nc
}

// JetStream returns the JetStream context of a connection of its own.
func (s *Server) JetStream(o ...nats.Option) jetstream.JetStream {
	s.t.Helper()
	js, err := jetstream.New(s.Connect(o...))
	if err != nil {
		s.t.Fatalf("JetStream: %v", err)
	}
	return js
}

// WithUser lets one user in, and nobody else.
func WithUser(name, password string) func(*server.Options) {
	return func(o *server.Options) { o.Users = []*server.User{{Username: name, Password: password}} }
}
