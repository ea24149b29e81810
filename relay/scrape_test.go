package relay

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	model "github.com/prometheus/client_model/go"
)

type dto = model.MetricFamily

// bulk is a registry whose text is larger than what sockets take unread, and which
// counts how often it was gathered, and how many do so at once.
type bulk struct {
	prometheus.Gatherer
	gathered, now, most atomic.Int64
}

// newBulk has so many series, each with a label of that length: few long ones are
// rendered quickly, also by a race detector on a busy machine.
func newBulk(t *testing.T, series, length int) *bulk {
	t.Helper()
	registry := prometheus.NewRegistry()
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "bulk", Help: strings.Repeat("x", 100)}, []string{"n"})
	registry.MustRegister(gauge)
	for n := range series {
		gauge.WithLabelValues(fmt.Sprintf("%0*d", length, n))
	}
	b := &bulk{}
	b.Gatherer = prometheus.GathererFunc(func() (families []*dto, err error) {
		b.gathered.Add(1)
		now := b.now.Add(1)
		defer b.now.Add(-1)
		for most := b.most.Load(); now > most && !b.most.CompareAndSwap(most, now); most = b.most.Load() {
		}
		return registry.Gather()
	})
	return b
}

func serveAdmin(t *testing.T, gather prometheus.Gatherer) (address string, a *Admin) {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a = NewAdmin(AdminConfig{Gatherer: gather, Readiness: NewReadiness(func() Health { return Health{Connected: true, Verified: true} })})
	server, ended := a.Server(), make(chan struct{})
	go func() { defer close(ended); server.Serve(a.Listen(socket)) }()
	t.Cleanup(func() { server.Close(); <-ended })
	return socket.Addr().String(), a
}

func TestScrape_ProbesAndScrapesAreAnsweredWhileOthersHang(t *testing.T) {
	t.Parallel()
	b := newBulk(t, 100, 100_000)
	address, admin := serveAdmin(t, b)
	const hanging = 4 * adminConnections
	for range hanging {
		send(t, address, "GET /metrics HTTP/1.1\r\nHost: relay\r\n\r\n").(*net.TCPConn).SetReadBuffer(4096)
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		conn := send(t, address, "GET "+path+" HTTP/1.1\r\nHost: relay\r\n\r\n")
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != 200 {
			t.Errorf("%s: answered %d %v", path, answer.StatusCode, err)
		}
	}
	if n := admin.connections.Open(); n > adminConnections {
		t.Errorf("%d connections are open", n)
	}
	if b.most.Load() > 1 {
		t.Errorf("%d renderings at once", b.most.Load())
	}
}

func TestScrape_ThoseAtTheSameTimeShareARendering(t *testing.T) {
	begun, proceed := make(chan struct{}), make(chan struct{})
	var gathered atomic.Int64
	s := newScrapes(prometheus.GathererFunc(func() ([]*dto, error) {
		gathered.Add(1)
		begun <- struct{}{}
		<-proceed
		return nil, nil
	}))
	var all sync.WaitGroup
	ask := func(change ...string) {
		all.Go(func() {
			req := httptest.NewRequest("GET", "/metrics", nil)
			for _, accept := range change {
				req.Header.Set("Accept", accept)
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, req)
			if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") && len(change) == 0 {
				t.Errorf("answered %d %s", w.Code, w.Header().Get("Content-Type"))
			}
		})
	}
	ask()
	<-begun // what happens from here on is not in it
	for range 50 {
		ask()
	}
	ask("application/openmetrics-text; version=1.0.0")
	eventually(t, "all wait", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.next) == 2
	})
	for n := 1; n <= 3; n++ {
		proceed <- struct{}{}
		if n < 3 {
			<-begun
		}
	}
	// A straggler of the fifty may have come after theirs had begun.
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	for {
		select {
		case <-begun:
			proceed <- struct{}{}
		case <-ended:
			if n := gathered.Load(); n < 3 || n > 6 {
				t.Errorf("rendered %d times", n)
			}
			return
		}
	}
}

func TestScrape_RenderingLeavesTheProcessorToOthers(t *testing.T) {
	const takes = 20 * time.Millisecond
	s := newScrapes(prometheus.GathererFunc(func() ([]*dto, error) {
		<-time.After(takes)
		return nil, nil
	}))
	begun := time.Now()
	for range 4 {
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil))
	}
	if took := time.Since(begun); took < 3*(1+pauseFactor)*takes {
		t.Errorf("four renderings in a row took %s", took)
	}
}

// Who comes just after a rendering has begun waits for that, for the pause and for the next.
func TestScrape_SlowRenderingsAreWithinTheWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const takes = 4 * time.Second
		s := newScrapes(prometheus.GathererFunc(func() ([]*dto, error) {
			time.Sleep(takes)
			return nil, nil
		}))
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil))
		begun := time.Now()
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil))
		if took := takes + time.Since(begun); took >= adminWriteTimeout {
			t.Errorf("a response would take %s", took)
		}
	})
}

func TestScrape_ACollectorThatPanicsEndsNothing(t *testing.T) {
	t.Parallel()
	s := newScrapes(prometheus.GathererFunc(func() ([]*dto, error) { panic("made up") }))
	for range 2 {
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil)); w.Code != 500 {
			t.Errorf("answered %d", w.Code)
		}
	}
}

// Those who share a rendering get it whole, whatever promhttp understands of a query.
func TestScrape_AQueryLeavesNothingOut(t *testing.T) {
	registry := prometheus.NewRegistry()
	for _, name := range []string{"one", "two"} {
		registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: name}))
	}
	page := httptest.NewRecorder()
	newScrapes(registry).ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics?name[]=one", nil))
	if !strings.Contains(page.Body.String(), "two 0") {
		t.Errorf("it shows %q", page.Body)
	}
}

func TestScrape_IsCompressedOnRequest(t *testing.T) {
	t.Parallel()
	address, _ := serveAdmin(t, newBulk(t, 100, 500))
	for _, accept := range []string{"", "gzip", "deflate, gzip;q=1.0", "identity"} {
		req, _ := http.NewRequest("GET", "http://"+address+"/metrics", nil)
		req.Header.Set("Accept-Encoding", accept)
		answer, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		packed := answer.Header.Get("Content-Encoding") == "gzip"
		if err != nil || packed != strings.Contains(accept, "gzip") || packed == strings.Contains(string(body), "bulk{") {
			t.Errorf("%q: %s %v", accept, answer.Header.Get("Content-Encoding"), err)
		}
	}
}

func TestAdmin_TheListenerHasTimeouts(t *testing.T) {
	t.Parallel()
	_, admin := serveAdmin(t, newBulk(t, 1, 500))
	s := admin.Server()
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("without a bound: %+v", s)
	}
}
