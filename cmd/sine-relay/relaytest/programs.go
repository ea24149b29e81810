package relaytest

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// User is a user of the relay's NATS, with the permissions that deploy/nats gives it.
type User string

const (
	// Decider decides check-in requests of every site.
	Decider User = embedded.UserDecider
	// Consumer receives events.
	Consumer User = embedded.UserConsumer
	// Operator gives orders, and reads what was decided and what was not understood.
	Operator User = embedded.UserOperator
	// Admin makes, changes and deletes streams and consumers.
	Admin User = embedded.UserAdmin
)

// NATS returns a connection of a user, which is closed when the test ends.
func (r *Relay) NATS(user User) *nats.Conn {
	r.t.Helper()
	nc, err := nats.Connect(r.NATSURL(user), nats.Name(r.t.Name()), nats.MaxReconnects(-1), nats.Timeout(wait.Limit))
	if err != nil {
		r.t.Fatalf("connect to NATS as %s: %v", user, err)
	}
	r.t.Cleanup(nc.Close)
	return nc
}

// NATSURL is the URL of NATS with a user and its password, for a program that connects for
// itself.
func (r *Relay) NATSURL(user User) string { return r.server.Embedded.ClientURL(string(user)) }

// JetStream is NATS for a program that receives events.
func (r *Relay) JetStream(user User) jetstream.JetStream {
	r.t.Helper()
	js, err := jetstream.New(r.NATS(user))
	if err != nil {
		r.t.Fatal(err)
	}
	return js
}

// Decide runs a decider "default" for every site of the relay until the test ends, and
// returns when it is asked.
func (r *Relay) Decide(decide func(ctx context.Context, q visit.CheckInRequest) (visit.Decision, error)) {
	r.t.Helper()
	r.DecideWith(subscriber.DeciderConfig{}, decide)
}

// DecideWith is Decide with a configuration, in which Sites and Version need not be set.
func (r *Relay) DecideWith(cfg subscriber.DeciderConfig, decide func(ctx context.Context, q visit.CheckInRequest) (visit.Decision, error)) {
	r.t.Helper()
	if len(cfg.Sites) == 0 {
		cfg.Sites = r.settings.Sites()
	}
	cfg.Version = cmp.Or(cfg.Version, "0.0.0-test")
	if cfg.OnError == nil {
		cfg.OnError = func(err error) { r.t.Log(err) }
	}
	ready, onReady := make(chan struct{}), cfg.OnReady
	cfg.OnReady = func() {
		if onReady != nil {
			onReady()
		}
		close(ready)
	}
	nc := r.NATS(Decider)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- subscriber.Decide(ctx, nc, cfg, decide) }()
	r.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			r.t.Errorf("the decider ended with %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- nil // for the end of the test
		r.t.Fatalf("the decider ended with %v", err)
	}
}

// Events returns all events that are stored, in their order. An event that was answered is
// among them.
func (r *Relay) Events() []visit.Event {
	r.t.Helper()
	ctx := wait.Context(r.t, wait.Limit)
	stream, err := r.JetStream(Consumer).Stream(ctx, r.settings.EventStream)
	if err != nil {
		r.t.Fatal(err)
	}
	var all []visit.Event
	state := stream.CachedInfo().State
	for at := state.FirstSeq; at <= state.LastSeq && state.Msgs > 0; at++ {
		m, err := stream.GetMsg(ctx, at)
		if err != nil {
			r.t.Fatal(err)
		}
		var e visit.Event
		if err := json.Unmarshal(m.Data, &e); err != nil {
			r.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}
