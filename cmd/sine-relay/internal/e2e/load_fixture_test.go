package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	crowdSize = 16
	// crowdBeat is between two calls of the whole crowd: load enough that every
	// change meets calls in flight, and not so much that the change has to wait
	// for a processor.
	crowdBeat = 2 * time.Millisecond
)

// crowd is many senders who call an integration of several relays in turn, until
// it is dispersed.
type crowd struct {
	relays      []*program
	integration string
	// judge names what a caller was told, or says why that is not what was
	// expected when it called.
	judge func(expected string, got told) (string, error)

	expected atomic.Value // string
	senders  [crowdSize]sender
	beat     *time.Ticker
	over     chan struct{}
	all      sync.WaitGroup

	mu       sync.Mutex
	told     map[string]int // by the name that the judge gave it
	failures []string
}

type sender struct {
	key   atomic.Value // string
	calls atomic.Int64 // that were answered
}

// gather has the crowd begin.
func gather(t *testing.T, c *crowd, key, expected string) *crowd {
	t.Helper()
	c.told, c.over, c.beat = map[string]int{}, make(chan struct{}), time.NewTicker(crowdBeat)
	c.expected.Store(expected)
	for i := range c.senders {
		c.senders[i].key.Store(key)
		c.all.Go(func() { c.send(i) })
	}
	t.Cleanup(func() { c.disperse() })
	c.moves(t)
	return c
}

func (c *crowd) send(i int) {
	s := &c.senders[i]
	for n := i; ; n++ {
		select {
		case <-c.over:
			return
		case <-c.beat.C:
		}
		expected := c.expected.Load().(string)
		got, err := c.relays[n%len(c.relays)].calls(c.integration, s.key.Load().(string), webhook("signin_before", noon, "Ada"))
		name := ""
		if err == nil {
			name, err = c.judge(expected, got)
		}
		c.note(name, err)
		s.calls.Add(1)
	}
}

func (c *crowd) note(name string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		name = "unexpected"
		c.failures = append(c.failures, err.Error())
	}
	c.told[name]++
}

// moves waits until every call has ended that was under way, and every sender has
// made one more.
func (c *crowd) moves(t *testing.T) {
	t.Helper()
	var before [crowdSize]int64
	for i := range c.senders {
		before[i] = c.senders[i].calls.Load()
	}
	eventually(t, "every sender has called", func() bool {
		for i := range c.senders {
			if c.senders[i].calls.Load() < before[i]+2 {
				return false
			}
		}
		return true
	})
}

// expects has calls judged by another expectation, once none is under way that
// was made with the one before.
func (c *crowd) expects(t *testing.T, expected string) {
	t.Helper()
	c.expected.Store(expected)
	c.moves(t)
}

// disperse ends the calls and returns how often what was told.
func (c *crowd) disperse() map[string]int {
	select {
	case <-c.over:
	default:
		close(c.over)
	}
	c.all.Wait()
	c.beat.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.told)
}

// mustBeFine ends the calls and requires that every one was answered as expected,
// and that each of these answers was given under load.
func (c *crowd) mustBeFine(t *testing.T, answers ...string) {
	t.Helper()
	counts, calls := c.disperse(), 0
	for _, n := range counts {
		calls += n
	}
	t.Logf("%d calls of %d senders to %d relays: %v", calls, crowdSize, len(c.relays), counts)
	if len(c.failures) > 0 {
		t.Errorf("%d unexpected answers, the first: %s", len(c.failures), c.failures[0])
	}
	for _, name := range answers {
		if counts[name] < crowdSize {
			t.Errorf("%q was answered %d times: that is no load", name, counts[name])
		}
	}
}

// changing is two relays on one NATS whose files and orders change under load,
// and the record of every decision that they made.
type changing struct {
	nats        *natstest.Server
	files, keys *mounted
	relays      []*program

	mu      sync.Mutex
	records map[string]bool // by id: the stream keeps one of a message that is sent again
	// policies are the versions by which each decider decided.
	policies map[string]map[string]bool
}

// lobby asks one decider.
const lobby = `{"integrations": [{"name": "lobby", "site": "default"}]}`

func newChanging(t *testing.T, file, keys string) *changing {
	t.Helper()
	c := &changing{nats: natstest.Start(t), files: &mounted{t: t, dir: t.TempDir()}, keys: &mounted{t: t, dir: t.TempDir()}}
	c.files.write(map[string]string{"integrations.json": file})
	c.keys.write(map[string]string{"lobby": keys})
	c.follow(t)
	for range 2 {
		p := runServe(t, "KEYS=", "NATS_URL="+c.nats.URL(), "KEYS_DIR="+c.keys.dir, "INTEGRATIONS_FILE="+filepath.Join(c.files.dir, "integrations.json"))
		c.relays = append(c.relays, p.ready())
	}
	return c
}

// follow notes every record.
func (c *changing) follow(t *testing.T) {
	t.Helper()
	c.policies, c.records = map[string]map[string]bool{}, map[string]bool{}
	nc := c.nats.Connect()
	_, err := nc.Subscribe("visitors.v1.decision.>", func(m *nats.Msg) {
		var r visit.Record
		if err := json.Unmarshal(m.Data, &r); err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.records[m.Header.Get(visit.HeaderMsgID)] = true
		if c.policies[r.Decider] == nil {
			c.policies[r.Decider] = map[string]bool{}
		}
		c.policies[r.Decider][r.Policy] = true
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

// both waits until a condition holds for each relay.
func (c *changing) both(t *testing.T, what string, condition func(*program) bool) {
	t.Helper()
	for _, p := range c.relays {
		eventually(t, what, func() bool { return condition(p) })
	}
}

// mustBeRecorded requires a record of every decision that the relays counted.
func (c *changing) mustBeRecorded(t *testing.T) {
	t.Helper()
	decisions := 0
	for _, p := range c.relays {
		for _, n := range p.counted("sine_relay_webhooks_total") {
			decisions += int(n)
		}
	}
	eventually(t, fmt.Sprintf("%d decisions are recorded", decisions), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.records) == decisions
	})
}

// stranger is a visitor who does not belong to the crowd.
func stranger(p *program, key string) told {
	got, err := p.calls("lobby", key, webhook("signin_before", noon, "Ada"))
	if err != nil {
		p.t.Error(err)
	}
	return got
}
