//go:build linux && faults

package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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

	answered atomic.Int64 // calls answered that the event is kept
	refused  atomic.Int64 // and those answered 503
	mu       sync.Mutex
	calls    []*call

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
		l.refused.Add(1)
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

// inLobby is how many visitors of one sender may be inside.
const inLobby = 10

// sender is one of those who call the relays, as Sine would: a visit's check-out
// never before its check-in was answered, and what was not answered again.
type sender struct {
	load   *load
	rng    *rand.Rand
	author author
	tick   *time.Ticker
	inside []stay
	said   []*event
}

// stay is a visit that has begun, and the relay that got it.
type stay struct {
	in *event
	at *relay
}

func newSender(l *load, number int, seed uint64) *sender {
	rng := rand.New(rand.NewPCG(seed, uint64(number)))
	return &sender{
		load: l, rng: rng, tick: time.NewTicker(l.interval),
		author: author{rng: rng, name: fmt.Sprintf("%s-%d", l.mark, number)},
	}
}

func (s *sender) run() {
	defer s.tick.Stop()
	for s.turn() {
		s.step()
	}
}

// turn waits until the next call may be made, and reports false when there is to
// be none.
func (s *sender) turn() bool {
	select {
	case <-s.load.stopped:
		return false
	case <-s.tick.C:
		return s.load.going()
	}
}

func (s *sender) step() {
	switch n := s.rng.IntN(100); {
	case n < 45:
		s.visit()
	case n < 75:
		s.deliver(s.author.pass(), s.anyRelay())
	case n < 82:
		s.deliver(s.author.nonsense(), s.anyRelay())
	case n < 92:
		s.again()
	default:
		s.atOnce()
	}
}

// visit checks somebody in, or out whoever has been inside for longest. Half of
// visitors turn round at once.
func (s *sender) visit() {
	if len(s.inside) >= inLobby {
		first := s.inside[0]
		s.inside = s.inside[1:]
		s.leave(first)
		return
	}
	one := stay{s.author.checkIn(), s.anyRelay()}
	if !s.deliver(one.in, one.at) {
		return
	}
	if s.rng.IntN(2) == 0 {
		s.leave(one)
		return
	}
	s.inside = append(s.inside, one)
}

// leave checks out, mostly through the relay that knows of the check-in.
func (s *sender) leave(one stay) {
	if s.rng.IntN(5) == 0 {
		one.at = s.anyRelay()
	}
	s.deliver(s.author.checkOut(one.in), one.at)
}

// again repeats what was said before.
func (s *sender) again() {
	if len(s.said) > 0 {
		s.deliver(s.said[s.rng.IntN(len(s.said))], s.anyRelay())
	}
}

// atOnce says the same twice at the same time, to two relays where there are.
func (s *sender) atOnce() {
	f, first := s.author.pass(), s.rng.IntN(len(s.load.relays))
	second := (first + 1) % len(s.load.relays)
	var both sync.WaitGroup
	both.Go(func() { s.load.post(f, s.load.relays[first]) })
	both.Go(func() { s.load.post(f, s.load.relays[second]) })
	both.Wait()
}

// deliver calls until there is an answer or the load ends, and reports whether
// the answer says that the event is kept. What was refused is not sent again:
// Sine is not known to.
func (s *sender) deliver(f *event, to *relay) bool {
	for {
		c := s.call(f, to)
		if c.err == nil {
			s.remember(f)
			return c.kept()
		}
		if !s.turn() {
			return false
		}
	}
}

// call tells one relay, or all of them at once where everything comes several
// times.
func (s *sender) call(f *event, to *relay) *call {
	if !s.load.echo {
		return s.load.post(f, to)
	}
	var all sync.WaitGroup
	for _, other := range s.load.relays {
		if other != to {
			all.Go(func() { s.load.post(f, other) })
		}
	}
	defer all.Wait()
	return s.load.post(f, to)
}

// remember keeps some of what was answered, to be repeated.
func (s *sender) remember(f *event) {
	if f.isEvent() && len(s.said) < 50 {
		s.said = append(s.said, f)
	} else if f.isEvent() {
		s.said[s.rng.IntN(len(s.said))] = f
	}
}

func (s *sender) anyRelay() *relay { return s.load.relays[s.rng.IntN(len(s.load.relays))] }
