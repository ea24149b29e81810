//go:build linux && faults

package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// call is one request to a relay and what came of it.
type call struct {
	*event
	relay, life int
	start, end  time.Time
	status      int
	eventID     string // in the answer
	requestID   string // likewise
	// err means that it is not known whether anything was stored.
	err error
}

// kept reports whether the relay said that it has the event. What cannot be read
// is answered 200 where a visitor might be waiting, and 400 elsewhere.
func (c *call) kept() bool {
	return c.err == nil && (c.status == http.StatusOK || !c.isEvent() && c.status == http.StatusBadRequest)
}

func (c *call) refused() bool { return c.err == nil && c.status == http.StatusServiceUnavailable }

// cutOff reports whether the relay said that the body did not come in time. That
// is true of nobody here unless the relay was held up for as long as it waits.
func (c *call) cutOff() bool {
	return c.err == nil && c.status == http.StatusRequestTimeout && c.end.Sub(c.start) > time.Second
}

// load is all senders together, and the record of their calls.
type load struct {
	relays   []*relay
	key      string
	mark     string // begins all ids, so that no other load's are taken for them
	interval time.Duration
	echo     bool // everything is said to all relays at the same time
	client   *http.Client

	answered   atomic.Int64 // calls that were told that the event is kept
	turnedAway atomic.Int64 // and those that were told 503
	mu         sync.Mutex
	calls      []*call

	stopped chan struct{}
	sending sync.WaitGroup
}

// callTimeout is far beyond what the relay allows itself.
const callTimeout = 30 * time.Second

func newLoad(relays []*relay, key, mark string, interval time.Duration) *load {
	return &load{
		relays: relays, key: key, mark: mark, interval: interval, stopped: make(chan struct{}),
		client: &http.Client{Timeout: callTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 256}},
	}
}

func (l *load) start(senders int, seed uint64) {
	for i := range senders {
		s := newSender(l, i, seed)
		l.sending.Go(s.run)
	}
}

// stop returns when the last call has ended.
func (l *load) stop() {
	if l.going() {
		close(l.stopped)
	}
	l.sending.Wait()
	l.client.CloseIdleConnections()
}

func (l *load) going() bool {
	select {
	case <-l.stopped:
		return false
	default:
		return true
	}
}

var errAway = errors.New("the relay does not run")

// post makes one call, and records it if there was a relay to be called.
func (l *load) post(f *event, to *relay) *call {
	at, life := to.where()
	c := &call{event: f, relay: at.relay, life: life, start: time.Now()}
	if at.webhook == "" {
		c.err = errAway
		return c
	}
	c.err = l.exchange(c, at.webhook+f.path)
	c.end = time.Now()
	if c.kept() {
		l.answered.Add(1)
	}
	if c.refused() {
		l.turnedAway.Add(1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
	return c
}

func (l *load) exchange(c *call, url string) error {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(c.body))
	if err != nil {
		return err
	}
	req.Header.Set("X-Sine-Auth", l.key)
	req.Header.Set("Content-Type", "application/json")
	answer, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode == http.StatusUnauthorized {
		// Another test's relay, on a port that was this one's.
		return fmt.Errorf("%s is somebody else", url)
	}
	c.status, c.requestID = answer.StatusCode, answer.Header.Get(visit.HeaderRequestID)
	var said struct{ EventID string }
	if err := json.Unmarshal(text, &said); err != nil {
		return fmt.Errorf("answer %q: %w", text, err)
	}
	c.eventID = said.EventID
	return nil
}

// record is a copy of the calls until now.
func (l *load) record() []*call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*call(nil), l.calls...)
}
