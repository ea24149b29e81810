package relay

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
)

// scrapes answers with the metrics. They are rendered once for all who ask while
// an earlier rendering is under way, one rendering at a time, and a reader that
// reads nothing holds no more than its copy of the text, which others share.
//
// promhttp's own bounds would not do: its limit on scrapes ends with the rendering
// when there is a timeout, and without one the gathered metrics, several times as
// large as their text, wait with the reader.
type scrapes struct {
	render http.Handler
	turn   sync.Mutex // one rendering at a time

	mu        sync.Mutex
	next      map[string]*rendering // of those that have not begun, by what was asked for
	notBefore time.Time             // when the next may begin
}

// rendering is what those who wait for it will get.
type rendering struct {
	req  *http.Request // its headers say in which form
	done chan struct{}
	page page
}

// pauseFactor is for how long nothing is rendered, in multiples of what the last
// rendering took: however many ask, a fifth of one processor is spent on it, or more where
// a rendering takes longer than a second. The pause ends after maxPause, so that who waits
// for two such renderings gets a response within the write timeout.
const (
	pauseFactor = 4
	maxPause    = 5 * time.Second
)

// scrapeFormats are what there is to ask for: who shares a rendering must have
// asked for the same.
var scrapeFormats = expfmt.DefaultOpenMetricsAcceptedFormats()

func newScrapes(gather prometheus.Gatherer) *scrapes {
	return &scrapes{
		render: promhttp.HandlerFor(gather, promhttp.HandlerOpts{EnableOpenMetrics: true, AcceptedFormats: scrapeFormats}),
		next:   map[string]*rendering{},
	}
}

func (s *scrapes) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r := s.join(req)
	select {
	case <-r.done:
		r.page.writeTo(w)
	case <-req.Context().Done(): // the reader is gone
	}
}

// join returns the rendering that will begin next, so that it shows everything
// that happened before it was asked for.
func (s *scrapes) join(req *http.Request) *rendering {
	own := req.Clone(context.WithoutCancel(req.Context()))
	if !strings.Contains(own.Header.Get("Accept-Encoding"), "gzip") {
		own.Header.Set("Accept-Encoding", "identity")
	} else {
		own.Header.Set("Accept-Encoding", "gzip")
	}
	own.URL.RawQuery = "" // promhttp would leave metrics out by it, for those who share this, too
	form := string(expfmt.NegotiateAccept(own.Header, scrapeFormats...)) + own.Header.Get("Accept-Encoding")
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.next[form]
	if r == nil {
		r = &rendering{req: own, done: make(chan struct{})}
		s.next[form] = r
		go s.run(r, form)
	}
	return r
}

func (s *scrapes) run(r *rendering, form string) {
	defer close(r.done)
	s.turn.Lock()
	defer s.turn.Unlock()
	<-time.After(time.Until(s.notBefore))
	s.mu.Lock()
	delete(s.next, form)
	s.mu.Unlock()
	begun := time.Now()
	defer func() {
		s.notBefore = time.Now().Add(min(pauseFactor*time.Since(begun), maxPause))
		if recover() != nil { // as in a handler, it must not end the program
			r.page = page{status: http.StatusInternalServerError}
		}
	}()
	s.render.ServeHTTP(&r.page, r.req)
}

// page is a response that is written later, perhaps several times.
type page struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (p *page) Header() http.Header {
	if p.header == nil {
		p.header = http.Header{}
	}
	return p.header
}

func (p *page) WriteHeader(status int) { p.status = status }

func (p *page) Write(b []byte) (int, error) { return p.body.Write(b) }

func (p *page) writeTo(w http.ResponseWriter) {
	maps.Copy(w.Header(), p.header)
	if p.status != 0 {
		w.WriteHeader(p.status)
	}
	w.Write(p.body.Bytes())
}
