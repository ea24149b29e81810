package broker_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

func TestTrap_ASilentPeerIsNoticedAfterMinutes(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	p := startProxy(t, s)
	b := ready(t, s, func(c *broker.Config) { c.NATS.Servers = []string{p.url()} })
	p.freeze()
	start := time.Now()
	_, err := b.Ask(within(t, patience), question())
	if !errors.Is(err, visit.ErrDisconnected) {
		t.Errorf("%v after %s", err, time.Since(start))
	}
	eventually(t, "both connections are given up", func() bool {
		st := b.Status()
		return !st.RequestsConnected && !st.EventsConnected
	})
}

// A write to a peer that reads nothing holds the connection's lock; by default
// for a minute, over the deadline of everybody behind it.
func TestTrap_APeerThatReadsNothingHoldsUpEverybody(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	p := startProxy(t, s)
	b := ready(t, s, func(c *broker.Config) { c.NATS.Servers = []string{p.url()} })
	p.freeze()
	const senders = 60
	started := time.Now()
	ctx := within(t, 500*time.Millisecond)
	results := make(chan error, senders)
	for i := range senders {
		go func() {
			m := event(strconv.Itoa(i))
			m.Data = make([]byte, 512<<10) // more in all than the sockets hold
			_, err := b.Publish(ctx, m)
			results <- err
		}()
	}
	for range senders {
		if err := <-results; !errors.Is(err, visit.ErrTimeout) && !errors.Is(err, visit.ErrDisconnected) {
			t.Errorf("%v", err)
		}
	}
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("the last sender got its answer after %s", took)
	}
}

// While the client writes to such a peer it holds its lock, for a second: nobody
// who asks may wait for it beyond the deadline.
func TestTrap_TheClientsLockOutlastsDeadlines(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	const deadline = 50 * time.Millisecond
	unlessHeldUp(t, func() error {
		p := startProxy(t, s)
		b := ready(t, s, func(c *broker.Config) { c.NATS.Servers = []string{p.url()} })
		p.freeze()
		const callers = 60
		late := make(chan error, callers)
		for range callers {
			go func() {
				q := question()
				q.Data = make([]byte, 512<<10)
				started := time.Now()
				_, err := b.Ask(within(t, deadline), q)
				if took := time.Since(started); took > 10*deadline {
					late <- fmt.Errorf("answered after %s: %w", took, err)
					return
				}
				late <- nil
			}()
		}
		var errs []error
		for range callers {
			errs = append(errs, <-late)
		}
		return errors.Join(errs...)
	})
}

// A server that says nothing any more cannot make an orderly end a failure: all
// that anybody was promised had been acknowledged before.
func TestClose_SucceedsWhileThePeerIsSilent(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	p := startProxy(t, s)
	b := ready(t, s, func(c *broker.Config) { c.NATS.Servers = []string{p.url()} })
	p.freeze()
	if err := b.Close(within(t, patience)); err != nil {
		t.Error(err)
	}
}
