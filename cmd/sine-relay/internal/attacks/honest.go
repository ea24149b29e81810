//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// honestRate is how many calls a second the honest caller makes.
const honestRate = 50

// honest calls as Sine does: at a steady rate, whatever became of the call before.
// Half of its calls are check-in requests, half are events; half come over kept
// connections, half over new ones.
type honest struct {
	url, key    string
	kept, fresh *http.Client
	sent        int
}

func newHonest(url, key string) *honest {
	trust := &tls.Config{InsecureSkipVerify: true} // a certificate of a moment, on loopback
	client := func(keep bool) *http.Client {
		return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: !keep, MaxIdleConnsPerHost: 64, TLSClientConfig: trust}}
	}
	return &honest{url: url, key: key, kept: client(true), fresh: client(false)}
}

// calls are what became of them.
type calls struct {
	took   []time.Duration // of those that were answered as they should be
	failed map[string]int  // by what went wrong
}

// call returns once every call that it made within the time has ended.
func (h *honest) call(ctx context.Context, length time.Duration) calls {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	c := calls{failed: map[string]int{}}
	var mu sync.Mutex
	var flying sync.WaitGroup
	tick := time.NewTicker(time.Second / honestRate)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			flying.Wait()
			return c
		case <-tick.C:
		}
		h.sent++
		n := h.sent
		flying.Go(func() {
			begun := time.Now()
			err := h.visit(n)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				c.failed[err.Error()]++
				return
			}
			c.took = append(c.took, time.Since(begun))
		})
	}
}

func (h *honest) visit(n int) error {
	event, want := "signin_before", `"visitorNotes":"Welcome"`
	if n%2 == 0 {
		event, want = "signin_after", `"eventId"`
	}
	client := h.kept
	if n%4 < 2 {
		client = h.fresh
	}
	body := fmt.Sprintf(`{"event":%q,"date":%q,"data":{"firstName":"Ada","lastName":"Number %d"}}`, event, time.Now().UTC().Format(time.RFC3339Nano), n)
	status, text, err := post(client, h.url, h.key, body)
	switch {
	case err != nil:
		return errors.New(cause(err))
	case status != http.StatusOK || !strings.Contains(text, want):
		return fmt.Errorf("%s answered %d", event, status)
	}
	return nil
}

// cause leaves out of an error what differs from call to call.
func cause(err error) string {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err.Error()
}

func post(client *http.Client, url, key, body string) (status int, text string, err error) {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.GetBody = nil // Sine is not known to send again
	req.Header.Set("X-Sine-Auth", key)
	req.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(content), err
}
