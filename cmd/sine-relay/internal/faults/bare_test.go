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

func startBare(t *testing.T, r *rig) *bare {
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

// send calls at the pace of one sender until told to stop.
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
