package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// onlyAccepted is the check of those who must all be let in.
func onlyAccepted(_ string, got response) (string, error) {
	if got.status != http.StatusOK || !strings.Contains(got.body, "SUCCESS") {
		return "", fmt.Errorf("%d %s", got.status, got.body)
	}
	return "accepted", nil
}

func TestAPIKeys_RotationUnderLoadRefusesNoValidKey(t *testing.T) {
	t.Parallel()
	const spring, autumn = "first-key-0123456789", "second-key-0123456789"
	const springFile, autumnFile = "# name: spring\n" + spring + "\n", "# name: autumn\n" + autumn + "\n"
	c := startReloading(t, lobby, springFile)
	decideAt(t, c.nats, "default", acceptAll)
	load := startLoad(t, &load{relays: c.relays, integration: "lobby", check: onlyAccepted}, spring, "")

	c.keys.write(map[string]string{"lobby": springFile + autumnFile})
	c.both(t, "the second key is valid", func(p *program) bool { return oneCall(p, autumn).status == http.StatusOK })
	for _, switching := range []int{loadSenders / 2, loadSenders} {
		for i := range switching {
			load.senders[i].key.Store(autumn)
		}
		load.cycle(t)
	}
	usedBefore := map[*program]float64{}
	for _, p := range c.relays {
		usedBefore[p] = p.counted("sine_relay_api_key_last_used_timestamp_seconds")[`api_key="spring",integration="lobby"`]
	}
	load.cycle(t)
	c.both(t, "the first key is seen not to be used any more", func(p *program) bool {
		used := p.counted("sine_relay_api_key_last_used_timestamp_seconds")
		before := usedBefore[p]
		return before > 0 && used[`api_key="spring",integration="lobby"`] == before && used[`api_key="autumn",integration="lobby"`] > before
	})

	c.keys.write(map[string]string{"lobby": autumnFile})
	c.both(t, "the first key is gone", func(p *program) bool { return oneCall(p, spring).status == http.StatusUnauthorized })
	load.cycle(t)
	load.mustPass(t, "accepted")
	c.mustBeRecorded(t)
}

// Two policies that differ in everything: whom they ask, how they reject, and what
// their answers look like.
const (
	onePolicy = `{"integrations": [{"name": "lobby", "site": "default", "decider": "one", "responses": {
		"accept": {"code": "SUCCESS", "policy": "one", "text": "{visitorText}"}, "reject": {"policy": "one", "text": "{visitorText}"}}}]}`
	otherPolicy = `{"integrations": [{"name": "lobby", "site": "default", "decider": "other", "rejectMode": "status", "responses": {
		"accept": {"policy": "other", "text": "{visitorText}"}, "reject": {"code": "REJECTED", "policy": "other", "text": "{visitorText}"}}}]}`
	brokenPolicy = `{"integrations": [{"name": "lobby", "site": "default", "decider": "one", "rejectMode": "shouting"}]}`
)

// whole are the answers of the two policies.
var whole = map[string]response{
	"one":   {status: http.StatusOK, body: `{"code":"SUCCESS","policy":"one","text":"one says yes"}` + "\n"},
	"other": {status: http.StatusForbidden, body: `{"code":"REJECTED","policy":"other","text":"other says no"}` + "\n"},
}

// wholePolicy is the check of answers that must be all of one policy.
func wholePolicy(expected string, got response) (string, error) {
	for name, w := range whole {
		if got.status == w.status && got.body == w.body && strings.Contains(expected, name) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%d %s while %q was expected", got.status, got.body, expected)
}

func TestReload_PoliciesAreSwappedWholeUnderLoad(t *testing.T) {
	t.Parallel()
	const either, key, work = "one or other", "any-key-0123456789", 20 * time.Millisecond
	c := startReloading(t, onePolicy, key)
	for name, d := range map[string]visit.Decision{
		"one":   {Verdict: visit.Accept, VisitorText: "one says yes"},
		"other": {Verdict: visit.Reject, VisitorText: "other says no"},
	} {
		decideAt(t, c.nats, name, func(visit.CheckInRequest) visit.Decision {
			<-time.After(work) // so that every swap meets calls that are under way
			return d
		})
	}
	load := startLoad(t, &load{relays: c.relays, integration: "lobby", check: wholePolicy}, key, "one")
	swap := func(policy, name string) {
		t.Helper()
		load.expects(t, either)
		c.files.write(map[string]string{"integrations.json": policy})
		c.both(t, name+" is in force", func(p *program) bool { return oneCall(p, key).status == whole[name].status })
		load.expects(t, name)
		load.cycle(t)
	}
	swap(otherPolicy, "other")
	c.files.write(map[string]string{"integrations.json": brokenPolicy})
	c.both(t, "the fault is seen", func(p *program) bool {
		_, readiness := p.get("/readyz?verbose")
		_, metrics := p.get("/metrics")
		return strings.Contains(readiness, "shouting") && strings.Contains(metrics, "\nsine_relay_config_last_reload_successful 0\n")
	})
	load.cycle(t)
	swap(onePolicy, "one")
	swap(otherPolicy, "other")
	load.mustPass(t, "one", "other")
	c.mustBeRecorded(t)
	one, other := c.policies["one"], c.policies["other"]
	if len(c.policies) != 2 || len(one) != 1 || len(other) != 1 || maps.Equal(one, other) {
		t.Errorf("the records name these policies: %v", c.policies)
	}
}

// lockedOrOpen is the check of answers during and after a lockdown.
func lockedOrOpen(expected string, got response) (string, error) {
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

func TestOrders_LockdownHoldsUnderLoad(t *testing.T) {
	t.Parallel()
	const either, key = "locked or open", "any-key-0123456789"
	c := startReloading(t, lobby, key)
	decideAt(t, c.nats, "default", acceptAll)
	load := startLoad(t, &load{relays: c.relays, integration: "lobby", check: lockedOrOpen}, key, "open")
	environ := environment("NATS_URL="+c.nats.URL(), "KEYS="+testKey)
	order := func(becomes string, args ...string) {
		t.Helper()
		load.expects(t, either)
		must(t, environ, "in force|lifted", args...)
		start := time.Now()
		c.both(t, "every relay is "+becomes, func(p *program) bool {
			name, err := lockedOrOpen(becomes, oneCall(p, key))
			return err == nil && name == becomes
		})
		took := time.Since(start)
		if took > 10*time.Second {
			t.Errorf("%s only after %s", becomes, took)
		}
		t.Logf("%s %s after the command", becomes, took)
		load.expects(t, becomes)
		load.cycle(t)
	}
	for range 3 {
		order("locked", "lockdown", "--site", "default", "--message", "Gas leak")
		order("open", "lockdown", "lift", "--site", "default")
	}
	load.mustPass(t, "locked", "open")
	c.mustBeRecorded(t)
}
