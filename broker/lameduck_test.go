package broker_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/internal/wait"
)

// Each server of a cluster is taken down for an update, one after another, while
// visitors come and events are stored. It says so some time before it closes the
// connections, and the relay has left by then. The deciders have not: what they were
// asked on a connection that is closed is asked again.
func TestLameDuck_RollingUpdateLosesNoRequestOrEvent(t *testing.T) {
	t.Parallel()
	servers := natstest.Cluster(t, 3, func(o *server.Options) {
		o.LameDuckGracePeriod, o.LameDuckDuration = wait.Limit, 2*wait.Limit // it is shut down before that
	})
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL())
	}
	reg, log := prometheus.NewRegistry(), &logtest.Buffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	b := ready(t, servers[0], func(c *broker.Config) {
		c.NATS.Servers, c.Streams.Replicas, c.Registerer, c.Logger = urls, 3, reg, logger
		c.Requests = []string{question().Subject}
	})
	for _, url := range urls {
		slowDecider(t, url)
	}
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var asked, published atomic.Int64
	var answered [10]atomic.Int64
	for door := range answered {
		load.Go(func() {
			for ctx.Err() == nil {
				// The default budget, and three times as much again for a busy machine.
				asking, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				if _, err := b.Ask(asking, question()); err != nil {
					t.Errorf("a visitor had no answer: %v", err)
					logger.Error("no answer", "err", err) // to see when
				}
				cancel()
				asked.Add(1)
				answered[door].Add(1)
			}
		})
	}
	load.Go(func() {
		pause := time.NewTicker(5 * time.Millisecond)
		defer pause.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			<-pause.C
			if _, err := b.Publish(within(t, patience), event(fmt.Sprint(i))); err != nil {
				t.Errorf("publish: %v", err)
			}
			published.Add(1)
		}
	})
	for _, s := range servers {
		from := asked.Load()
		eventually(t, "visitors come", func() bool { return asked.Load() > from+20 })
		go s.Server().LameDuckShutdown()
		eventually(t, "the relay has left", func() bool { return !s.Server().ReadyForConnections(time.Millisecond) && !isConnected(t, s) })
		s.Server().Shutdown()
		s.Server().WaitForShutdown()
		var before [len(answered)]int64
		for door := range answered {
			before[door] = answered[door].Load()
		}
		s.Restart()
		eventually(t, "the cluster is whole again", s.Server().JetStreamIsCurrent)
		// Whoever waits for the decider that went with the server is asked again after half of
		// the time. In the other half the decider that goes with the next server must not be asked.
		eventually(t, "nobody waits for a decider that is gone", func() bool {
			for door := range answered {
				if answered[door].Load() == before[door] {
					return false
				}
			}
			return true
		})
	}
	stop()
	load.Wait()
	t.Logf("%d visitors, %d events, asked again because a decider's connection was closed: %v", asked.Load(), published.Load(), again(t, reg, "no_reply"))
	if n := again(t, reg, "disconnected"); n != 0 {
		t.Errorf("%v visitors were asked about on a connection that dropped", n)
	}
	text := log.String()
	if !strings.Contains(text, "the NATS server is shutting down") || strings.Contains(text, "disconnected from NATS\" connection") {
		t.Error("the log is not that of an orderly leave")
	}
	if t.Failed() {
		t.Logf("the log is:\n%s", text)
	}
}

// The relay leaves a server once what was asked there is answered, which may take longer
// than the default budget.
func TestLameDuck_ServerIsLeftAfterTheLastDecision(t *testing.T) {
	t.Parallel()
	servers := natstest.Cluster(t, 2, func(o *server.Options) {
		o.LameDuckGracePeriod, o.LameDuckDuration = wait.Limit, 2*wait.Limit
	})
	reg, log := prometheus.NewRegistry(), &logtest.Buffer{}
	b := ready(t, servers[0], func(c *broker.Config) {
		c.Registerer, c.Logger, c.Requests = reg, slog.New(slog.NewTextHandler(log, nil)), []string{question().Subject}
	})
	asked := make(chan *nats.Msg, 10)
	decide(t, servers[1].Connect(), func(m *nats.Msg) { asked <- m })
	decided := make(chan error, 1)
	go func() {
		_, err := b.Ask(within(t, patience), question())
		decided <- err
	}()
	first := wait.Receive(t, "the question", asked)
	go servers[0].Server().LameDuckShutdown()
	eventually(t, "the relay knows", func() bool {
		return strings.Contains(log.String(), `"the NATS server is shutting down" connection=check_in_requests`)
	})
	time.AfterFunc(5*time.Second, func() { first.Respond([]byte(`{"decision":"accept"}`)) })
	select {
	case err := <-decided:
		if err != nil {
			t.Error(err)
		}
	case <-asked:
		t.Error("the decider was asked a second time")
	}
	eventually(t, "the relay has left", func() bool { return !isConnected(t, servers[0]) })
}

// isConnected reports whether a relay is connected to the server. The deciders' connections
// have no name.
func isConnected(t *testing.T, s *natstest.Server) bool {
	t.Helper()
	z, err := s.Server().Connz(nil)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(z.Conns, func(c *server.ConnInfo) bool { return c.Name != "" })
}

// slowDecider takes a while to decide, so that there are always visitors at the door.
// It stays with its server, so that no two of them are away at once.
func slowDecider(t *testing.T, url string) {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.IgnoreDiscoveredServers())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	_, err = nc.QueueSubscribe("visitors.v1.ask.>", "q", func(m *nats.Msg) {
		time.AfterFunc(100*time.Millisecond, func() { m.Respond([]byte(`{"decision":"accept"}`)) })
	})
	if err != nil || nc.Flush() != nil {
		t.Fatal(err)
	}
}

// There is no other server to move to.
func TestLameDuck_SingleServerIsReconnectedAfterItsRestart(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) {
		o.LameDuckGracePeriod, o.LameDuckDuration = 100*time.Millisecond, time.Second
	})
	log := &logtest.Buffer{}
	b := ready(t, s, func(c *broker.Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	s.Server().LameDuckShutdown()
	s.Server().WaitForShutdown()
	s.Restart()
	awaitReady(t, b)
	if _, err := b.Publish(within(t, patience), event("1")); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "the NATS server is shutting down") {
		t.Errorf("the log is:\n%s", log.String())
	}
	go s.Server().LameDuckShutdown()
	eventually(t, "it says so again", func() bool { return strings.Count(log.String(), "is shutting down") >= 3 })
	if err := b.Close(within(t, patience)); err != nil {
		t.Error(err)
	}
}
