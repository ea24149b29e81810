package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	senders = 8
	pause   = 10 * time.Millisecond
	// most bodies are small; each tenth may be large, so that stores begin new files.
	smallBody, largeBody = 3 << 10, 120 << 10
)

// load calls one relay.
type load struct {
	ledger *ledger
	relay  *relay
	client *http.Client
}

// startLoad calls a relay as soon as it listens. The function that it returns ends
// that, and returns when the last call has ended.
func startLoad(ctx context.Context, r *relay, l *ledger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	one := &load{ledger: l, relay: r, client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: senders}}}
	for range senders {
		running.Go(func() { one.send(ctx) })
	}
	return func() {
		cancel()
		running.Wait()
		one.client.CloseIdleConnections()
	}
}

// send ends with ctx, after the call that is under way: what it acknowledges counts.
func (l *load) send(ctx context.Context) {
	if l.relay.listens(ctx) != nil {
		return
	}
	for sleep(ctx, pause) {
		body := visitor()
		d := l.ledger.send(body)
		if id := l.post(body); id != "" {
			l.ledger.acknowledge(id, d)
		}
	}
}

// post returns the id of an event that was acknowledged.
func (l *load) post(body []byte) (id string) {
	req, err := http.NewRequest(http.MethodPost, l.relay.webhook, bytes.NewReader(body))
	if err != nil {
		return ""
	}
	req.GetBody = nil // a second call of the same event would hide a loss
	req.Header.Set("x-sine-auth", l.relay.key)
	req.Header.Set("Content-Type", "application/json")
	response, err := l.client.Do(req)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	var stored struct{ EventID string }
	if err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(text, &stored) != nil {
		return ""
	}
	return stored.EventID
}

// visitor is a body that no other one equals.
func visitor() []byte {
	limit := smallBody
	if mathrand.IntN(10) == 0 {
		limit = largeBody
	}
	event := []string{"signin_after", "signout_after"}[mathrand.IntN(2)]
	return fmt.Appendf(nil, `{"event":%q,"date":%q,"data":{"firstName":"Visitor","lastName":%q,"note":%q}}`,
		event, time.Now().UTC().Format(time.RFC3339Nano), rand.Text(), strings.Repeat("x", mathrand.IntN(limit)))
}
