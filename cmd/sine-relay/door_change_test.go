package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/brokertest"
	"github.com/sine-relay/sine-relay/visit"
)

// changing is two relays on one NATS whose files and orders change under load,
// and the record of every decision that they made.
type changing struct {
	nats        *brokertest.Server
	files, keys *mounted
	relays      []*program

	mu      sync.Mutex
	records int
	// policies are the versions by which each decider decided.
	policies map[string]map[string]bool
}

// lobby asks one decider.
const lobby = `{"integrations": [{"name": "lobby", "site": "default"}]}`

func newChanging(t *testing.T, file, keys string) *changing {
	t.Helper()
	c := &changing{nats: brokertest.Start(t), files: &mounted{t: t, dir: t.TempDir()}, keys: &mounted{t: t, dir: t.TempDir()}}
	c.files.write(map[string]string{"integrations.json": file})
	c.keys.write(map[string]string{"lobby": keys})
	c.follow(t)
	for range 2 {
		p := runServe(t, "KEYS=", "NATS_URL="+c.nats.URL(), "KEYS_DIR="+c.keys.dir, "INTEGRATIONS_FILE="+filepath.Join(c.files.dir, "integrations.json"))
		c.relays = append(c.relays, p.ready())
	}
	t.Cleanup(manyCallers.CloseIdleConnections)
	return c
}

// follow notes every record.
func (c *changing) follow(t *testing.T) {
	t.Helper()
	c.policies = map[string]map[string]bool{}
	nc := c.nats.Connect()
	_, err := nc.Subscribe("visitors.v1.decision.>", func(m *nats.Msg) {
		var r visit.Record
		if err := json.Unmarshal(m.Data, &r); err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.records++
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
		return c.records == decisions
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

// onlyAccepted is the judge of those who must all be let in.
func onlyAccepted(_ string, got told) (string, error) {
	if got.status != http.StatusOK || !strings.Contains(got.body, "SUCCESS") {
		return "", fmt.Errorf("%d %s", got.status, got.body)
	}
	return "accepted", nil
}

func TestKeysAreChangedUnderLoad(t *testing.T) {
	const spring, autumn = "first-key-0123456789", "second-key-0123456789"
	const springFile, autumnFile = "# name: spring\n" + spring + "\n", "# name: autumn\n" + autumn + "\n"
	c := newChanging(t, lobby, springFile)
	decideAt(t, c.nats, "default", acceptAll)
	load := gather(t, &crowd{relays: c.relays, integration: "lobby", judge: onlyAccepted}, spring, "")

	c.keys.write(map[string]string{"lobby": springFile + autumnFile})
	c.both(t, "the second key is valid", func(p *program) bool { return stranger(p, autumn).status == http.StatusOK })
	for _, switching := range []int{crowdSize / 2, crowdSize} {
		for i := range switching {
			load.senders[i].key.Store(autumn)
		}
		load.moves(t)
	}
	usedBefore := map[*program]float64{}
	for _, p := range c.relays {
		usedBefore[p] = p.counted("sine_relay_key_last_used_timestamp_seconds")[`integration="lobby",key="spring"`]
	}
	load.moves(t)
	c.both(t, "the first key is seen not to be used any more", func(p *program) bool {
		used := p.counted("sine_relay_key_last_used_timestamp_seconds")
		before := usedBefore[p]
		return before > 0 && used[`integration="lobby",key="spring"`] == before && used[`integration="lobby",key="autumn"`] > before
	})

	c.keys.write(map[string]string{"lobby": autumnFile})
	c.both(t, "the first key is gone", func(p *program) bool { return stranger(p, spring).status == http.StatusUnauthorized })
	load.moves(t)
	load.mustBeFine(t, "accepted")
	c.mustBeRecorded(t)
}

// Two policies that differ in everything: whom they ask, how they reject, and what
// their answers look like.
const (
	onePolicy = `{"integrations": [{"name": "lobby", "site": "default", "decider": "one", "answers": {
		"accept": {"code": "SUCCESS", "policy": "one", "text": "{visitorText}"}, "reject": {"policy": "one", "text": "{visitorText}"}}}]}`
	otherPolicy = `{"integrations": [{"name": "lobby", "site": "default", "decider": "other", "rejectBy": "status", "answers": {
		"accept": {"policy": "other", "text": "{visitorText}"}, "reject": {"code": "REJECTED", "policy": "other", "text": "{visitorText}"}}}]}`
	brokenPolicy = `{"integrations": [{"name": "lobby", "site": "default", "decider": "one", "rejectBy": "shouting"}]}`
)

// whole are the answers of the two policies.
var whole = map[string]told{
	"one":   {status: http.StatusOK, body: `{"code":"SUCCESS","policy":"one","text":"one says yes"}` + "\n"},
	"other": {status: http.StatusForbidden, body: `{"code":"REJECTED","policy":"other","text":"other says no"}` + "\n"},
}

// wholePolicy is the judge of answers that must be all of one policy.
func wholePolicy(expected string, got told) (string, error) {
	for name, w := range whole {
		if got.status == w.status && got.body == w.body && strings.Contains(expected, name) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%d %s while %q was expected", got.status, got.body, expected)
}

func TestPoliciesAreSwappedWholeUnderLoad(t *testing.T) {
	const either, key = "one or other", "any-key-0123456789"
	c := newChanging(t, onePolicy, key)
	decideAt(t, c.nats, "one", func(visit.Request) visit.Decision {
		return visit.Decision{Verdict: visit.Accept, VisitorText: "one says yes"}
	})
	decideAt(t, c.nats, "other", func(visit.Request) visit.Decision {
		return visit.Decision{Verdict: visit.Reject, VisitorText: "other says no"}
	})
	load := gather(t, &crowd{relays: c.relays, integration: "lobby", judge: wholePolicy}, key, "one")
	swap := func(policy, name string) {
		t.Helper()
		load.expects(t, either)
		c.files.write(map[string]string{"integrations.json": policy})
		c.both(t, name+" is in force", func(p *program) bool { return stranger(p, key).status == whole[name].status })
		load.expects(t, name)
		load.moves(t)
	}
	swap(otherPolicy, "other")
	c.files.write(map[string]string{"integrations.json": brokenPolicy})
	c.both(t, "the fault is seen", func(p *program) bool {
		_, readiness := p.get("/readyz?verbose")
		_, metrics := p.get("/metrics")
		return strings.Contains(readiness, "shouting") && strings.Contains(metrics, "\nsine_relay_config_last_reload_successful 0\n")
	})
	load.moves(t)
	swap(onePolicy, "one")
	swap(otherPolicy, "other")
	load.mustBeFine(t, "one", "other")
	c.mustBeRecorded(t)
	one, other := c.policies["one"], c.policies["other"]
	if len(c.policies) != 2 || len(one) != 1 || len(other) != 1 || maps.Equal(one, other) {
		t.Errorf("the records name these policies: %v", c.policies)
	}
}

// lockedOrOpen is the judge of answers during and after a lockdown.
func lockedOrOpen(expected string, got told) (string, error) {
	name := "open"
	if strings.Contains(got.body, "REJECTED") && strings.Contains(got.body, "Gas leak") {
		name = "locked"
	} else if _, err := onlyAccepted("", got); err != nil {
		return "", err
	}
	if !strings.Contains(expected, name) {
		return "", fmt.Errorf("%d %s while %q was expected", got.status, got.body, expected)
	}
	return name, nil
}

func TestALockdownHoldsUnderLoad(t *testing.T) {
	const either, key = "locked or open", "any-key-0123456789"
	c := newChanging(t, lobby, key)
	decideAt(t, c.nats, "default", acceptAll)
	load := gather(t, &crowd{relays: c.relays, integration: "lobby", judge: lockedOrOpen}, key, "open")
	environ := environment("NATS_URL="+c.nats.URL(), "KEYS="+testKey)
	order := func(becomes string, args ...string) {
		t.Helper()
		load.expects(t, either)
		must(t, environ, "in force|lifted", args...)
		start := time.Now()
		c.both(t, "every relay is "+becomes, func(p *program) bool {
			name, err := lockedOrOpen(becomes, stranger(p, key))
			return err == nil && name == becomes
		})
		took := time.Since(start)
		if took > 10*time.Second {
			t.Errorf("%s only after %s", becomes, took)
		}
		t.Logf("%s %s after the command", becomes, took)
		load.expects(t, becomes)
		load.moves(t)
	}
	for range 3 {
		order("locked", "lockdown", "--site", "default", "--message", "Gas leak")
		order("open", "lockdown", "lift", "--site", "default")
	}
	load.mustBeFine(t, "locked", "open")
	c.mustBeRecorded(t)
}
