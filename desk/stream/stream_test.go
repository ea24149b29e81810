package stream

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/internal/promtest"
	"github.com/sine-relay/sine-relay/internal/wait"
)

// serve serves the updates of a source.
func serve(t testing.TB, next Source, within func(*http.Request) *http.Request) (*Hub, *prometheus.Registry, string) {
	t.Helper()
	reg := prometheus.NewRegistry()
	h := New(reg)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if within != nil {
			r = within(r)
		}
		h.Serve(w, r, r.Header.Get("User"), next, func() { w.WriteHeader(http.StatusServiceUnavailable) })
	}))
	t.Cleanup(server.Close)
	t.Cleanup(h.Close)
	return h, reg, server.URL
}

// read returns what a page is sent, up to a text.
func read(t *testing.T, url, until string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(wait.Context(t, wait.Limit), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all strings.Builder
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		if until != "" && strings.Contains(lines.Text(), until) {
			return all.String()
		}
	}
	if until != "" {
		t.Fatalf("%q never came: %s", until, all.String())
	}
	return all.String()
}

func TestStream_SaysWhatHasChangedAndWhereToGoOn(t *testing.T) {
	var n atomic.Int64
	sent := map[string]uint64{}
	_, _, url := serve(t, func() (Update, error) {
		parts := map[string]string{"same": "<p>a\nb</p>", "other": fmt.Sprintf("<p>%d</p>", n.Add(1))}
		return Update{Parts: Changed(parts, sent), ID: "here"}, nil
	}, nil)
	text := read(t, url, `p\u003e2\u003c/p`)
	if strings.Count(text, `"same"`) != 1 || strings.Count(text, `"other"`) != 2 || !strings.Contains(text, "id: here\nevent: update\ndata: {") {
		t.Errorf("the stream is %s", text)
	}
}

// A write deadline that is left behind would end a stream of HTTP/2 between two beats.
func TestStream_OverHTTP2OutlastsTheTimeThatAWriteMayTake(t *testing.T) {
	t.Parallel()
	h := New(prometheus.NewRegistry())
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.Serve(w, r, "vera", func() (Update, error) { return Update{}, nil }, func() {})
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	t.Cleanup(h.Close)
	req, err := http.NewRequestWithContext(wait.Context(t, wait.Limit), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil || resp.ProtoMajor != 2 {
		t.Fatalf("%v, %v", resp, err)
	}
	defer resp.Body.Close()
	lines, beats := bufio.NewScanner(resp.Body), 0
	for beats < 3 && lines.Scan() {
		if lines.Text() == "event: beat" {
			beats++
		}
	}
	if beats < 3 {
		t.Errorf("it ended after %d beats: %v", beats, lines.Err())
	}
}

func TestStream_ThatHasNothingToSaySaysThatItIsThere(t *testing.T) {
	_, _, url := serve(t, func() (Update, error) { return Update{}, nil }, nil)
	read(t, url, "event: beat")
}

func TestStream_EndsWithTheSessionAndSaysSo(t *testing.T) {
	_, _, url := serve(t, func() (Update, error) { return Update{}, nil }, func(r *http.Request) *http.Request {
		ctx, cancel := context.WithDeadline(r.Context(), time.Now())
		t.Cleanup(cancel)
		return r.WithContext(ctx)
	})
	if text := read(t, url, ""); !strings.Contains(text, "event: bye\ndata: your session has ended") {
		t.Errorf("the stream is %s", text)
	}
}

func TestStream_EndsWithTheDesk(t *testing.T) {
	h, _, url := serve(t, func() (Update, error) { return Update{}, nil }, nil)
	go func() {
		wait.For(func() bool { return h.Viewers() == 1 })
		h.Close()
	}()
	read(t, url, "")
}

func TestStream_ASourceThatFailsEndsIt(t *testing.T) {
	_, _, url := serve(t, func() (Update, error) { return Update{}, fmt.Errorf("no") }, nil)
	if text := read(t, url, ""); !strings.Contains(text, "event: bye") {
		t.Errorf("the stream is %s", text)
	}
}

func TestStream_PagesBeyondTheMostAreRefusedAndCounted(t *testing.T) {
	h, reg, url := serve(t, func() (Update, error) { return Update{}, nil }, nil)
	for i := range MaxViewers {
		h.open(fmt.Sprint("user-", i/2))
	}
	if got := status(t, url, "vera"); got != http.StatusServiceUnavailable {
		t.Fatalf("it got %d", got)
	}
	if n := promtest.Sum(t, reg, "sine_relay_desk_viewers_dropped_total", "reason", "full"); n != 1 || h.Viewers() != MaxViewers {
		t.Errorf("%v are counted, %d are open", n, h.Viewers())
	}
}

func TestStream_OneUserHasOnlySomeOfThePages(t *testing.T) {
	h, _, url := serve(t, func() (Update, error) { return Update{}, nil }, nil)
	for range MaxPerUser {
		h.open("vera")
	}
	if got := status(t, url, "vera"); got != http.StatusServiceUnavailable {
		t.Errorf("one more page of that user got %d", got)
	}
	if got := status(t, url, "rita"); got != http.StatusOK {
		t.Errorf("a page of another user got %d", got)
	}
	for range MaxPerUser {
		h.leave("vera")
	}
	wait.Until(t, "nobody is left behind", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.watching == 0 && len(h.users) == 0
	})
}

// status is what a page of a user is answered with.
func status(t *testing.T, url, user string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User", user)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestStream_APageThatDoesNotReadIsDroppedAndCounted(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 4<<20)
	_, reg, url := serve(t, func() (Update, error) { return Update{Prepend: large}, nil }, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	wait.Until(t, "it is dropped", func() bool {
		return promtest.Sum(t, reg, "sine_relay_desk_viewers_dropped_total", "reason", "slow") == 1
	})
}
