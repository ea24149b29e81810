package outbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/outbox"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

func TestMain(m *testing.M) { wait.Main(m) }

// syncing bounds how many servers sync each message at the same time: those that share a
// disk wait for each other much longer than one after the other.
var syncing = make(chan struct{}, 2)

// synced is a server that syncs each message.
func synced(t *testing.T, change ...func(*server.Options)) *natstest.Server {
	t.Helper()
	syncing <- struct{}{}
	t.Cleanup(func() { <-syncing })
	return natstest.Start(t, append(change, func(o *server.Options) { o.SyncAlways, o.SyncInterval = true, time.Minute })...)
}

// room is an outbox with what is below it.
type room struct {
	*outbox.Outbox
	conn    *conn.Conn
	streams *streams.Reconciler
}

// open returns an outbox with group commit on the server.
func open(t testing.TB, url string, change ...func(*dial.Config, *streams.Config)) room {
	t.Helper()
	small := streams.Limits{MaxBytes: 64 << 20}
	nats := dial.Config{Servers: []string{url}}
	cfg := streams.Config{Events: small, Decisions: small, Quarantine: small, GroupCommit: true}
	for _, c := range change {
		c(&nats, &cfg)
	}
	nats, err := nats.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if cfg, err = cfg.WithDefaults(); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	options := conn.Options{Name: "events", Logger: log, Metrics: conn.NewMetrics(nil)}
	c, other, err := conn.DialPair(nats, options, options)
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	t.Cleanup(c.Close)
	r := room{conn: c, streams: streams.New(cfg, streams.Options{Conn: c, Logger: log, Bucket: "KV_ORDERS"})}
	r.Outbox = outbox.New(outbox.Config{
		Conn: c, Streams: r.streams, Shares: outbox.NewShares(nil), LargestMessage: streams.LargestMessage(cfg.BodyLimit), Logger: log,
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.streams.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	wait.Until(t, "the streams are verified", func() bool {
		all, _ := r.streams.State()
		return !slices.ContainsFunc(all, func(s streams.Status) bool { return !s.Verified })
	})
	return r
}

func event(id string) visit.Message {
	return visit.Message{
		Root: visit.RootEvent, Subject: "visitors.v1.event.hq.checked_in", ID: id,
		Header: map[string][]string{visit.HeaderMsgID: {id}, visit.HeaderID: {id}}, Data: []byte(`{"id":"` + id + `"}`),
	}
}

func events(prefix string, n int) (all []visit.Message) {
	for i := range n {
		all = append(all, event(fmt.Sprint(prefix, i)))
	}
	return all
}

// result is what became of a message.
type result struct {
	receipt visit.Receipt
	err     error
	// slow is set where it took so long that the message was sent again: then a
	// duplicate may be of the call's own making, and is not reported.
	slow bool
}

func (r room) store(t *testing.T, m visit.Message) result {
	start := time.Now()
	receipt, err := r.Store(wait.Context(t, wait.Limit), m)
	return result{receipt, err, time.Since(start) > 400*time.Millisecond}
}

// storeAll stores messages at the same time, and returns what became of each by its id.
func (r room) storeAll(t *testing.T, all []visit.Message) map[string]result {
	t.Helper()
	var mu sync.Mutex
	var calls sync.WaitGroup
	results := make(map[string]result)
	for _, m := range all {
		calls.Go(func() {
			one := r.store(t, m)
			mu.Lock()
			defer mu.Unlock()
			results[m.ID] = one
		})
	}
	calls.Wait()
	return results
}

// stored are the messages in the event stream, and how many of them came in a batch.
func stored(t *testing.T, s *natstest.Server) (ids map[uint64]string, batched int) {
	t.Helper()
	ctx := wait.Context(t, wait.Limit)
	stream, err := s.JetStream().Stream(ctx, visit.DefaultEventStream)
	if err != nil {
		t.Fatal(err)
	}
	ids = make(map[uint64]string)
	for sequence := uint64(1); sequence <= stream.CachedInfo().State.LastSeq; sequence++ {
		m, err := stream.GetMsg(ctx, sequence)
		if err != nil {
			t.Fatal(err)
		}
		ids[sequence] = m.Header.Get(visit.HeaderMsgID)
		if m.Header.Get("Nats-Batch-Id") != "" {
			batched++
		}
	}
	return ids, batched
}

// update changes the configuration of the event stream.
func update(t *testing.T, js jetstream.JetStream, change func(*jetstream.StreamConfig)) {
	t.Helper()
	ctx := wait.Context(t, wait.Limit)
	stream, err := js.Stream(ctx, visit.DefaultEventStream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	change(&cfg)
	if _, err := js.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
}
