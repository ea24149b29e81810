package relay

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// Nobody who is turned away is shown nothing, wherever the text comes from.
func TestABlankTextIsNone(t *testing.T) {
	for _, blank := range []string{"", " ", "\n\t", "\u00a0\u3000", "\u200b\u2060\ufeff", "\x00\x1b", "\u202e"} {
		fallback := func(f policy.Fallback) func(*Config) {
			return func(cfg *Config) {
				cfg.Integrations[0].Policy = policy.Policy{RejectText: blank, Fallbacks: map[policy.Situation]policy.Fallback{policy.NoDecider: f}}
			}
		}
		for name, c := range map[string]struct {
			change  func(*Config)
			setup   func(*rig)
			message string
			notes   string
		}{
			"a decider's": {func(cfg *Config) { cfg.Integrations[0].Policy.RejectText = "Ask your host" },
				decide(visit.Decision{Verdict: visit.Reject, VisitorText: blank, AdminNote: blank}), "Ask your host", ""},
			"a decider's and the integration's": {func(cfg *Config) { cfg.Integrations[0].Policy.RejectText = blank },
				decide(visit.Decision{Verdict: visit.Reject, VisitorText: blank}), "Please see reception.", ""},
			"a fallback's": {fallback(policy.Fallback{Verdict: visit.Reject, VisitorText: blank, AdminNote: blank}),
				failAsk(visit.ErrNoDecider), "Please see reception.", "no decider answers"},
			"a decider's fallback's": {func(cfg *Config) {
				fallback(policy.Fallback{Verdict: visit.Reject, VisitorText: "Ask your host"})(cfg)
				own := map[policy.Situation]policy.Fallback{policy.NoDecider: {VisitorText: blank, AdminNote: blank}}
				cfg.Integrations[0].Deciders = []Decider{{Name: "watchlist", Fallbacks: own}}
			}, failAsk(visit.ErrNoDecider), "Ask your host", "no decider answers"},
			"a lockdown's": {nil, func(r *rig) { r.orders.give(visit.Order{Kind: visit.OrderLockdown, Site: "hq", Message: blank}) },
				"closed to visitors", "lockdown"},
		} {
			r := newRig(t, func(cfg *Config) {
				if c.change != nil {
					c.change(cfg)
				}
			})
			c.setup(r)
			w := r.post("/sine/lobby", checkInBody)
			var told map[string]string
			if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil {
				t.Fatal(err)
			}
			_, noted := told["adminNotes"]
			if told["code"] != "REJECTED" || !strings.Contains(told["message"], c.message) || noted != (c.notes != "") || !strings.Contains(told["adminNotes"], c.notes) {
				t.Errorf("%q as %s: %s", blank, name, w.Body)
			}
		}
	}
}

// Of those who accept, the first who says something is shown.
func TestABlankWelcomeHidesNoOther(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Integrations[0].Deciders = []Decider{{Name: "a"}, {Name: "b"}} })
	r.broker.ask = behaviours{"a": says(visit.Accept, " \u200b"), "b": says(visit.Accept, "Welcome")}.ask
	if w := r.post("/sine/lobby", checkInBody); !strings.Contains(w.Body.String(), `"visitorNotes":"Welcome"`) {
		t.Errorf("told %s", w.Body)
	}
}
