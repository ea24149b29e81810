package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

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
