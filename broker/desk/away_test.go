package desk_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/desk"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
)

func TestOpen_ConfigurationThatCanNeverWorkIsAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  admin.Config
		says string
	}{
		"no server":      {admin.Config{}, "no NATS server"},
		"not a URL":      {admin.Config{NATS: dial.Config{Servers: []string{"Zsecret"}}}, "not a URL"},
		"no credentials": {admin.Config{NATS: dial.Config{Servers: []string{"nats://127.0.0.1:1"}, Auth: dial.Auth{CredentialsFile: "none"}}}, "credentials file"},
	} {
		var log logtest.Buffer
		d, err := desk.Open(desk.Config{Config: c.cfg, Logger: log.Text()})
		if err == nil {
			d.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "Zsecret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A page that waits for NATS shows nothing: each method says at once that it is away.
func TestDesk_ADisconnectionIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	relayOn(t, s)
	d := deskOn(t, s)
	for name, err := range d.all(t) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	s.Stop()
	eventually(t, "the desk has noticed", func() bool { return errors.Is(d.Connected(), visit.ErrDisconnected) })
	begun := time.Now()
	for name, do := range d.work() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // an order is tried until then
		if err := do(ctx); !errors.Is(err, visit.ErrDisconnected) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	if took := time.Since(begun); took > patience/2 {
		t.Errorf("it took %s", took)
	}
	s.Restart()
	connected(t, d)
	eventually(t, "everything works again", func() bool {
		for _, err := range d.all(t) {
			if err != nil {
				return false
			}
		}
		return true
	})
}

// Who waits for a reply hears that the connection has dropped.
func TestDesk_AnAuditInFlightEndsWithTheConnection(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	d := deskOn(t, s)
	silent := s.Connect()
	asked := make(chan struct{}, 1)
	sub, err := silent.SubscribeSync("visitors.v1.audit.>") // hears it, and never replies
	if err != nil || silent.Flush() != nil {
		t.Fatal(err)
	}
	go func() {
		if _, err := sub.NextMsg(patience); err == nil {
			asked <- struct{}{}
		}
	}()
	failed := make(chan error, 1)
	go func() { failed <- d.Audit(within(t, patience), entry("hq", visit.ActionReveal, time.Now())) }()
	<-asked
	s.Stop()
	if err := <-failed; !errors.Is(err, visit.ErrDisconnected) {
		t.Error(err)
	}
}

func TestOpen_StartsWithoutNATS(t *testing.T) {
	t.Parallel()
	socket, err := net.Listen("tcp", "127.0.0.1:0") // a port at which nothing speaks NATS
	if err != nil {
		t.Fatal(err)
	}
	address := socket.Addr().(*net.TCPAddr)
	socket.Close()
	var log logtest.Buffer
	d, err := desk.Open(desk.Config{Config: admin.Config{NATS: dial.Config{Servers: []string{"nats://desk:Zsecret@" + address.String()}}}, Logger: log.Text()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	if err := d.Connected(); !errors.Is(err, visit.ErrDisconnected) || strings.Contains(err.Error(), "Zsecret") {
		t.Error(err)
	}
	natstest.Start(t, func(o *server.Options) { o.Port = address.Port })
	eventually(t, "it connects", func() bool { return d.Connected() == nil })
	if strings.Contains(log.String(), "Zsecret") {
		t.Errorf("logged: %s", &log)
	}
}

func TestDesk_ARefusedPasswordIsSaid(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, natstest.WithUser("desk", "another"))
	d := openDesk(t, s, "desk")
	eventually(t, "it says why", func() bool {
		err := d.Connected()
		return errors.Is(err, visit.ErrDisconnected) && strings.Contains(strings.ToLower(err.Error()), "authorization violation")
	})
	s.Stop()
	s.Restart(natstest.WithUser("desk", "Zsecret"))
	connected(t, d)
}

// followed is what a follower has got.
type followed struct {
	mu     sync.Mutex
	ids    []string
	states []error
}

func (f *followed) got() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.ids...)
}

// errNotYet stands for no state.
var errNotYet = errors.New("it has not said anything yet")

// state is the last one.
func (f *followed) state() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.states) == 0 {
		return errNotYet
	}
	return f.states[len(f.states)-1]
}

// follow follows until the test ends.
func follow(t *testing.T, d opened) *followed {
	t.Helper()
	f := &followed{}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	note := func(id string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ids = append(f.ids, id)
	}
	go func() {
		ended <- d.Follow(ctx, func(r visit.Record) { note(r.RequestID) }, func(e visit.Event) { note(e.ID) }, func(err error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.states = append(f.states, err)
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("following ended: %v", err)
		}
	})
	return f
}

func (f *followed) reads(t *testing.T) {
	t.Helper()
	eventually(t, "it reads", func() bool { return f.state() == nil })
}
