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
	loadSenders = 16
	// loadInterval is between two calls of all senders: load enough that every
	// change meets calls in flight, and not so much that the change has to wait
	// for a processor.
	loadInterval = 2 * time.Millisecond
)

// load is many senders who call an integration of several relays in turn, until
// it is dispersed.
type load struct {
	relays      []*program
	integration string
	// check names a response, or says why that is not what was
	// expected when it called.
	check func(expected string, got response) (string, error)

	expected atomic.Value // string
	senders  [loadSenders]sender
	ticker   *time.Ticker
	stopped  chan struct{}
	all      sync.WaitGroup

	mu        sync.Mutex
	responses map[string]int // by the name that check gave them
	failures  []string
}

type sender struct {
	key   atomic.Value // string
	calls atomic.Int64 // that were answered
}

// gather has the load begin.
func startLoad(t *testing.T, c *load, key, expected string) *load {
	t.Helper()
	c.responses, c.stopped, c.ticker = map[string]int{}, make(chan struct{}), time.NewTicker(loadInterval)
	c.expected.Store(expected)
	for i := range c.senders {
		c.senders[i].key.Store(key)
		c.all.Go(func() { c.send(i) })
	}
	t.Cleanup(func() { c.stop() })
	c.cycle(t)
	return c
}

func (c *load) send(i int) {
	s := &c.senders[i]
	for n := i; ; n++ {
		select {
		case <-c.stopped:
			return
		case <-c.ticker.C:
		}
		expected := c.expected.Load().(string)
		got, err := c.relays[n%len(c.relays)].calls(c.integration, s.key.Load().(string), webhook("signin_before", noon, "Ada"))
		name := ""
		if err == nil {
			name, err = c.check(expected, got)
		}
		c.note(name, err)
		s.calls.Add(1)
	}
}

func (c *load) note(name string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		name = "unexpected"
		c.failures = append(c.failures, err.Error())
	}
	c.responses[name]++
}

// moves waits until every call has ended that was under way, and every sender has
// made one more.
func (c *load) cycle(t *testing.T) {
	t.Helper()
	var before [loadSenders]int64
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
func (c *load) expects(t *testing.T, expected string) {
	t.Helper()
	c.expected.Store(expected)
	c.cycle(t)
}

// stop ends the calls and returns how often each response came.
func (c *load) stop() map[string]int {
	select {
	case <-c.stopped:
	default:
		close(c.stopped)
	}
	c.all.Wait()
	c.ticker.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.responses)
}

// mustPass ends the calls and requires that every one was answered as expected,
// and that each of these answers was given under load.
func (c *load) mustPass(t *testing.T, answers ...string) {
	t.Helper()
	counts, calls := c.stop(), 0
	for _, n := range counts {
		calls += n
	}
	t.Logf("%d calls of %d senders to %d relays: %v", calls, loadSenders, len(c.relays), counts)
	if len(c.failures) > 0 {
		t.Errorf("%d unexpected answers, the first: %s", len(c.failures), c.failures[0])
	}
	for _, name := range answers {
		if counts[name] < loadSenders {
			t.Errorf("%q was answered %d times: that is no load", name, counts[name])
		}
	}
}

// reloadingRelays is two relays on one NATS whose files and orders change under load,
// and the record of every decision that they made.
type reloadingRelays struct {
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

func startReloading(t *testing.T, file, keys string) *reloadingRelays {
	t.Helper()
	c := &reloadingRelays{nats: natstest.Start(t), files: &mounted{t: t, dir: t.TempDir()}, keys: &mounted{t: t, dir: t.TempDir()}}
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
func (c *reloadingRelays) follow(t *testing.T) {
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
func (c *reloadingRelays) both(t *testing.T, what string, condition func(*program) bool) {
	t.Helper()
	for _, p := range c.relays {
		eventually(t, what, func() bool { return condition(p) })
	}
}

// mustBeRecorded requires a record of every decision that the relays counted.
func (c *reloadingRelays) mustBeRecorded(t *testing.T) {
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

// oneCall is a visitor beside the load.
func oneCall(p *program, key string) response {
	got, err := p.calls("lobby", key, webhook("signin_before", noon, "Ada"))
	if err != nil {
		p.t.Error(err)
	}
	return got
}
