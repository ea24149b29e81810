//go:build linux && faults

package faults

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// waitBound is ten times the relay's budget, and backBound ten times the second
// within which it should publish again.
const (
	waitBound = 20 * time.Second
	backBound = 10 * time.Second
)

// While NATS is away for two seconds under 32 senders, nobody is refused or kept
// waiting. A bare handler goes through the same beside it, to compare.
func TestOutage_TwoSecondsUnder32SendersRefuseNothing(t *testing.T) {
	const name, senders, pace = "away for 2 s under 32 senders", 32, 100 * time.Millisecond
	r := newFixture(t, layout{senders: senders})
	r.load.interval = pace
	b := startBare(t, r)
	var calling sync.WaitGroup
	for range senders {
		calling.Go(func() { b.send(pace, r.load.stopped) })
	}
	var accepted time.Time
	var back time.Duration
	v := r.run(1, func() {
		n := r.nodes[0]
		n.process.kill()
		hold(2 * time.Second)
		stored := make(chan time.Time, 1)
		go func() { stored <- r.firstStored() }()
		r.report(n.start())
		accepted = time.Now()
		back = (<-stored).Sub(accepted)
		hold(4 * time.Second) // the bare handler takes its time
	})
	calling.Wait()
	closing.add(name, v)
	closing.note(fmt.Sprintf("%s: the relay refused %d of %d, longest wait %d ms, published again %d ms after NATS accepted connections",
		name, v.refused, v.sent, v.longest.Milliseconds(), back.Milliseconds()))
	closing.note(fmt.Sprintf("%s: a bare handler: %s", name, b.report(accepted)))
	r.demand(v)
	r.demandNoRefusals(v)
	if v.longest > waitBound || back > backBound {
		t.Errorf("the longest wait was %s, and it took %s to publish again", v.longest, back)
	}
}

// firstStored returns when the relay next stores something in the stream.
func (r *fixture) firstStored() time.Time {
	from := -1
	r.report(await("something is stored", func() bool {
		m, err := r.relays[0].read()
		if err == nil && from < 0 {
			from = m.settled("stored")
		}
		return err == nil && m.settled("stored") > from
	}))
	return time.Now()
}

// bare is the handler that one would write in ten minutes: it publishes the
// body with nats.go as that comes, and answers 200 on the acknowledgement.
type bare struct {
	js     jetstream.JetStream
	server *httptest.Server

	mu    sync.Mutex
	calls []outcome
}

// outcome is what became of one of its calls.
type outcome struct {
	end  time.Time
	took time.Duration
	kept bool
}

const bareStream = "BARE"

func startBare(t *testing.T, r *fixture) *bare {
	t.Helper()
	nc, err := nats.Connect("nats://"+r.nodes[0].address(), nats.UserInfo("audit", "audit"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	r.must(persist("the bare handler has a stream", func(ctx context.Context) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: bareStream, Subjects: []string{"bare"}})
		return err
	}))
	b := &bare{js: js}
	b.server = httptest.NewServer(b)
	t.Cleanup(b.server.Close)
	return b
}

func (b *bare) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, "unreadable", http.StatusBadRequest)
		return
	}
	future, err := b.js.PublishMsgAsync(&nats.Msg{Subject: "bare", Data: body})
	if err != nil {
		http.Error(w, "refused", http.StatusServiceUnavailable)
		return
	}
	select {
	case <-future.Ok():
	case <-future.Err():
		http.Error(w, "failed", http.StatusServiceUnavailable)
	case <-time.After(2 * time.Second):
		http.Error(w, "timeout", http.StatusServiceUnavailable)
	}
}

// send calls at the pace of one sender until it is stopped.
func (b *bare) send(pace time.Duration, stopped <-chan struct{}) {
	client := &http.Client{Timeout: callTimeout}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-stopped:
			return
		case <-tick.C:
			b.call(client, fmt.Sprint(i))
		}
	}
}

func (b *bare) call(client *http.Client, body string) {
	start := time.Now()
	answer, err := client.Post(b.server.URL, "text/plain", strings.NewReader(body))
	if err == nil {
		answer.Body.Close()
	}
	o := outcome{end: time.Now(), took: time.Since(start), kept: err == nil && answer.StatusCode == http.StatusOK}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, o)
}

// report tells how many calls failed, what the longest took, and how long after
// the given time one succeeded again.
func (b *bare) report(since time.Time) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var failed int
	var longest time.Duration
	back := time.Duration(-1)
	slices.SortFunc(b.calls, func(a, b outcome) int { return a.end.Compare(b.end) })
	for _, o := range b.calls {
		longest = max(longest, o.took)
		if !o.kept {
			failed++
		} else if back < 0 && o.end.After(since) {
			back = o.end.Sub(since)
		}
	}
	return fmt.Sprintf("%d of %d calls refused, longest wait %d ms, back %d ms after NATS", failed, len(b.calls), longest.Milliseconds(), back.Milliseconds())
}
