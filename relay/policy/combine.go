package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

// settledBy reports whether a vote alone makes the verdict certain.
func (c Combination) settledBy(vote Answer) bool {
	if c == Any {
		return vote.Verdict == visit.Accept && !vote.Fallback
	}
	return vote.Verdict == visit.Reject
}

// verdict is that of the votes together.
func (c Combination) verdict(votes []Answer) visit.Verdict {
	if c == Any {
		if own := slices.DeleteFunc(slices.Clone(votes), byFallback); len(own) > 0 {
			votes = own
		}
		if slices.ContainsFunc(votes, accepts) {
			return visit.Accept
		}
		return visit.Reject
	}
	if slices.ContainsFunc(votes, rejects) {
		return visit.Reject
	}
	return visit.Accept
}

// bearers are the votes on which the verdict rests. An acceptance by all rests on
// every vote; any other verdict on deciders that gave it themselves, and on
// fallbacks only where there is no such decider.
func (c Combination) bearers(votes []Answer, verdict visit.Verdict) []Answer {
	agreeing := slices.DeleteFunc(slices.Clone(votes), func(a Answer) bool { return a.Verdict != verdict })
	own := slices.DeleteFunc(slices.Clone(agreeing), byFallback)
	if len(own) == 0 || c == All && verdict == visit.Accept {
		return agreeing
	}
	return own
}

func accepts(a Answer) bool    { return a.Verdict == visit.Accept }
func rejects(a Answer) bool    { return a.Verdict == visit.Reject }
func byFallback(a Answer) bool { return a.Fallback }

// combine makes one answer of the votes that came; there is one at least.
func (t *Tally) combine(ordersKnown bool) Answer {
	var came, configured []Answer
	for _, i := range t.heard {
		came = append(came, t.count(i, ordersKnown))
	}
	for _, i := range slices.Sorted(slices.Values(t.heard)) {
		configured = append(configured, t.count(i, ordersKnown))
	}
	c := t.panel.Combination
	verdict := c.verdict(came)
	a := c.spokesman(c.bearers(came, verdict))
	a.Pass = nil
	if verdict == visit.Accept {
		bearers := c.bearers(configured, verdict)
		a.VisitorText, a.Pass = firstText(bearers), mergePasses(bearers)
	}
	a.AdminNote = t.notes(configured)
	return a
}

// spokesman returns the answer of the bearer that was decisive: the first that
// came, or, where all had to accept, the first that accepted by fallback. Where
// several deciders accepted as they had to, it is nobody's.
func (c Combination) spokesman(bearers []Answer) Answer {
	a := bearers[0]
	if c == All && accepts(a) {
		switch i := slices.IndexFunc(bearers, byFallback); {
		case i >= 0:
			a = bearers[i]
		case len(bearers) > 1:
			return Answer{
				Situation: Decided,
				Decision:  visit.Decision{Verdict: visit.Accept},
				Rule:      fmt.Sprintf("%s: %d deciders accepted", c, len(bearers)),
			}
		}
	}
	a.Rule = fmt.Sprintf("%s: %s %s", c, a.By, a.Rule)
	return a
}

func firstText(votes []Answer) string {
	for _, a := range votes {
		if !visit.Blank(a.VisitorText) {
			return a.VisitorText
		}
	}
	return ""
}

func mergePasses(votes []Answer) map[string]json.RawMessage {
	merged := map[string]json.RawMessage{}
	for _, a := range votes {
		for name, value := range a.Pass {
			if !hasName(merged, name) {
				merged[name] = value
			}
		}
	}
	if len(merged) == 0 {
		return nil
	}
	return merged
}

// hasName does not mind the case: whoever reads the answer may not either.
func hasName(fields map[string]json.RawMessage, name string) bool {
	for other := range fields {
		if strings.EqualFold(other, name) {
			return true
		}
	}
	return false
}

// notes joins what the administrator is told. White space within a note becomes a
// single space where several have a say, so that no note can pass for another
// decider's line.
func (t *Tally) notes(votes []Answer) string {
	if t.haveSay == 1 {
		return votes[0].AdminNote
	}
	var lines []string
	for _, a := range votes {
		if words := strings.Fields(a.AdminNote); len(words) > 0 {
			lines = append(lines, a.By+": "+strings.Join(words, " "))
		}
	}
	return strings.Join(lines, "\n")
}
