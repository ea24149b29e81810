package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// patience is what Sine is taken to have for an answer.
const patience = 10 * time.Second

type target struct{ url, key string }

// tally is what became of the webhooks.
type tally struct {
	Sent     int            `json:"sent"`
	Answered int            `json:"answered"`
	Failed   int            `json:"failed"`
	How      map[string]int `json:"how,omitempty"`
	Longest  int64          `json:"longestMs"`

	mu  sync.Mutex
	ids []string
}

// send posts at a steady rate: a slow answer does not slow the next visitor down.
// Every second one comes over a connection of its own, the others over kept ones;
// every fifth is a question, the others are events.
func send(ctx context.Context, t target, rate int, length time.Duration, ids string) error {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	kept := &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	fresh := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	result := &tally{How: map[string]int{}}
	var flying sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			flying.Wait()
			report(result)
			return errors.Join(result.verdict(), result.keep(ids))
		case <-tick.C:
		}
		client := kept
		if n%2 == 0 {
			client = fresh
		}
		result.Sent++
		flying.Go(func() { result.post(client, t, visitor(n)) })
	}
}

func visitor(n int) (body string) {
	event := "signin_after"
	if n%5 == 0 {
		event = "signin_before"
	}
	// The whole body and a date that is exact enough make the event's id.
	return fmt.Sprintf(`{"event":%q,"date":%q,"data":{"firstName":"Visitor","lastName":%q}}`, event, time.Now().UTC().Format(time.RFC3339Nano), rand.Text())
}

func (r *tally) post(client *http.Client, t target, body string) {
	begin := time.Now()
	id, err := deliver(client, t, body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Longest = max(r.Longest, time.Since(begin).Milliseconds())
	if err != nil {
		r.Failed++
		r.How[err.Error()]++
		return
	}
	r.Answered++
	if id != "" {
		r.ids = append(r.ids, id)
	}
}

// deliver returns the event's id, where one was stored.
func deliver(client *http.Client, t target, body string) (id string, err error) {
	req, err := http.NewRequest(http.MethodPost, t.url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	// Sine is not known to send again; neither does this client.
	req.GetBody = nil
	req.Header.Set("x-sine-auth", t.key)
	req.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("answered %d", answer.StatusCode)
	}
	var said struct{ EventID string }
	if err := json.Unmarshal(text, &said); err != nil {
		return "", errors.New("the response is not JSON")
	}
	return said.EventID, nil
}

func (r *tally) verdict() error {
	if r.Failed > 0 || r.Answered != r.Sent {
		return fmt.Errorf("%d of %d webhooks failed", r.Sent-r.Answered, r.Sent)
	}
	return nil
}

func (r *tally) keep(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	for _, id := range r.ids {
		fmt.Fprintln(f, id)
	}
	return f.Close()
}
