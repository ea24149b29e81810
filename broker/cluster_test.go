package broker_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
)

// When the leader of a stream goes, what was sent to it may never be
// acknowledged, and nothing is until another is elected: the
// retry rides it out, and stores nothing twice.
func TestTrap_WhileALeaderIsElectedNothingIsAcknowledged(t *testing.T) {
	servers := natstest.Cluster(t, 3)
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL())
	}
	b := ready(t, servers[0], func(c *broker.Config) { c.NATS.Servers, c.Streams.Replicas = urls, 3 })
	const senders, each = 4, 50
	var all sync.WaitGroup
	var sent atomic.Int64
	for sender := range senders {
		all.Go(func() {
			for i := range each {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				if _, err := b.Publish(ctx, event(fmt.Sprintf("%d-%d", sender, i))); err != nil {
					t.Errorf("%d-%d: %v", sender, i, err)
				}
				cancel()
				sent.Add(1)
			}
		})
	}
	eventually(t, "some are stored", func() bool { return sent.Load() > senders*each/4 })
	leader := leaderOf(t, servers)
	leader.Stop()
	all.Wait()
	for _, s := range servers {
		if s == leader {
			continue
		}
		js, err := jetstream.New(s.Connect())
		if err != nil {
			t.Fatal(err)
		}
		// A request to a leader that is being elected is lost.
		var stream jetstream.Stream
		eventually(t, "the stream is found", func() bool {
			stream, err = js.Stream(within(t, atOnce), "VISITORS")
			return err == nil
		})
		if n := stream.CachedInfo().State.Msgs; n != senders*each {
			t.Errorf("%d messages are stored, want %d", n, senders*each)
		}
		return
	}
}

// leaderOf returns the server that leads the stream of events.
func leaderOf(t *testing.T, servers []*natstest.Server) *natstest.Server {
	t.Helper()
	for _, s := range servers {
		if s.Server().JetStreamIsStreamLeader("$G", "VISITORS") {
			return s
		}
	}
	t.Fatal("the stream has no leader")
	return nil
}
