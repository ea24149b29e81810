package config

import (
	"strings"
	"testing"
)

func TestWhatNothingComesOfIsWarnedOf(t *testing.T) {
	for _, c := range []struct{ name, entry, want string }{
		{"a capture that has ended", "{name: a, capture: {deliveries: 3, until: '2020-01-01T00:00:00Z'}}", "i.yaml:3: integration a: capture.until: is in the past, and nothing is shown"},
		{"a capture that has not", "{name: a, capture: {deliveries: 3, until: '2999-01-01T00:00:00Z'}}", ""},
		{"deciders that are never asked", "{name: a, events: [checked_in], decider: x}", "i.yaml:3: integration a: decider: has no effect, since events says"},
		{"a fallback that is never used", "{name: a, events: [checked_in], fallbacks: {timeout: {answer: accept}}}", "integration a: fallbacks: has no effect"},
		{"deciders that are asked", "{name: a, events: [checked_in, check_in_request], decider: x}", ""},
		{"no time for a decider", "{name: a, decisionBudget: 3ms}", "i.yaml:3: integration a: decisionBudget: is shorter than 100ms"},
		{"a site that others name", "{name: hq}, {name: a, site: hq, events: [check_in_request]}", ""},
		{"a site that was left out", "{name: b, site: hq}, {name: a}", "i.yaml:3: integration a: names no site"},
		{"no sites at all", "{name: b}, {name: a}", ""},
		{"a site that is the name", "{name: b, site: hq}, {name: a, site: a}", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := load(t, withFile(t, "defaults: {rejectionConfirmed: true}\nintegrations: [\n"+c.entry+"]", "a", "b", "hq")...)
			var got []string
			for _, line := range s.Warnings.Lines() {
				if !strings.Contains(line, "belongs to no integration") {
					got = append(got, line)
				}
			}
			all := strings.Join(got, "\n")
			if c.want == "" && all != "" {
				t.Errorf("warned: %s", all)
			}
			expect(t, all, c.want)
		})
	}
}

func TestDurationsOfAnotherUnitAreWarnedOf(t *testing.T) {
	expect(t, strings.Join(load(t, "DECISION_BUDGET=2ms", "ORDERS_MAX_AGE=100d", "OVERRIDE_MAX_DURATION=1s", "DRAIN_DELAY=5h").Warnings.Lines(), "\n"),
		"SINE_RELAY_DECISION_BUDGET: 2ms is unusually short: less than 100ms", "SINE_RELAY_ORDERS_MAX_AGE: 2400h0m0s is unusually long: more than 1h0m0s",
		"SINE_RELAY_OVERRIDE_MAX_DURATION: 1s is unusually short", "SINE_RELAY_DRAIN_DELAY: 5h0m0s is unusually long")
	expectNot(t, strings.Join(load(t, "DRAIN_DELAY=0s").Warnings.Lines(), "\n"), "unusually")
	expect(t, faulty(t, "SPOOL_MAX_AGE=-1s"), "SINE_RELAY_SPOOL_MAX_AGE: must be ")
}
