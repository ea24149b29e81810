package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// senders to one proxy, each over one connection that it keeps, and how long
// each pauses between two calls.
const (
	senders = 4
	pause   = 25 * time.Millisecond
)

// client speaks to a proxy as Sine does: HTTPS, HTTP/1.1, connections kept, and
// nothing sent twice.
func client(p *proxy) *http.Client {
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientHost)}}
	return &http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return from.DialContext(ctx, "tcp", p.address)
			},
			// The certificate is of this check's own making.
			TLSClientConfig: &tls.Config{ServerName: pageHost, InsecureSkipVerify: true},
		},
	}
}

// answer is what a caller learns.
type answer struct {
	status  int
	header  http.Header
	text    []byte
	eventID string
}

func post(c *http.Client, path, key string, body []byte, header ...string) (answer, error) {
	req, err := http.NewRequest(http.MethodPost, "https://"+pageHost+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.GetBody = nil // else the client would send again by itself
	req.Header.Set("X-Sine-Auth", key)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	got, err := c.Do(req)
	if err != nil {
		return answer{}, errors.Unwrap(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	var said struct{ EventID string }
	json.Unmarshal(text, &said)
	return answer{got.StatusCode, got.Header, text, said.EventID}, err
}

func visitor(event, lastName string) []byte {
	return fmt.Appendf(nil, `{"event":%q,"date":%q,"data":{"firstName":"Visitor","lastName":%q}}`,
		event, time.Now().UTC().Format(time.RFC3339Nano), lastName)
}

// load is the calls through one proxy and what became of them.
type load struct {
	proxy *proxy
	idle  *http.Client // of the last check

	mu      sync.Mutex
	sent    int
	ids     []string // of the events that were answered 200
	longest time.Duration
	lost    []loss
}

// loss is a call that was not answered 200.
type loss struct {
	span
	path, how string
}

// run sends until ctx ends.
func (l *load) run(ctx context.Context) {
	var group sync.WaitGroup
	for range senders {
		group.Go(func() {
			c := client(l.proxy)
			defer c.CloseIdleConnections()
			for n := 0; ctx.Err() == nil; n++ {
				l.send(c, n)
				time.Sleep(pause)
			}
		})
	}
	group.Wait()
}

// send makes every fourth call a check-in request, the others events.
func (l *load) send(c *http.Client, n int) {
	event, path := "signin_after", pinned
	switch n % 4 {
	case 0:
		event, path = "signin_before", unpinned
	case 1:
		path = unpinned
	}
	begin := time.Now()
	got, err := post(c, path, key, visitor(event, l.proxy.name+"/"+rand.Text()))
	call := span{begin, time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	l.longest = max(l.longest, call.end.Sub(begin))
	switch {
	case err != nil:
		l.lost = append(l.lost, loss{call, path, err.Error()})
	case got.status != http.StatusOK:
		l.lost = append(l.lost, loss{call, path, fmt.Sprint(got.status)})
	case got.eventID != "":
		l.ids = append(l.ids, got.eventID)
	}
}

// how are the ways in which calls were lost.
func (l *load) how() string {
	counts := map[string]int{}
	for _, one := range l.lost {
		counts[one.how+" "+one.path]++
	}
	var b strings.Builder
	for _, how := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, ", %d× %s", counts[how], how)
	}
	return b.String()
}
