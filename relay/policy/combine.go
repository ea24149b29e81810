package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

// settledBy reports whether a vote alone makes the verdict certain.
func (c Combination) settledBy(vote Decision) bool {
	if c == Any {
		return vote.Verdict == visit.Accept && !vote.Fallback
	}
	return vote.Verdict == visit.Reject
}

// verdict is that of the votes together.
func (c Combination) verdict(votes []Decision) visit.Verdict {
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

// decisive are the votes on which the verdict rests. An acceptance by all rests on
// every vote; any other verdict on deciders that gave it themselves, and on
// fallbacks only where there is no such decider.
func (c Combination) decisive(votes []Decision, verdict visit.Verdict) []Decision {
	agreeing := slices.DeleteFunc(slices.Clone(votes), func(d Decision) bool { return d.Verdict != verdict })
	own := slices.DeleteFunc(slices.Clone(agreeing), byFallback)
	if len(own) == 0 || c == All && verdict == visit.Accept {
		return agreeing
	}
	return own
}

func accepts(d Decision) bool    { return d.Verdict == visit.Accept }
func rejects(d Decision) bool    { return d.Verdict == visit.Reject }
func byFallback(d Decision) bool { return d.Fallback }

// combine makes one decision of the votes that came; there is at least one.
func (b *Ballot) combine(ordersKnown bool) Decision {
	var came, configured []Decision
	for _, i := range b.arrived {
		came = append(came, b.count(i, ordersKnown))
	}
	for _, i := range slices.Sorted(slices.Values(b.arrived)) {
		configured = append(configured, b.count(i, ordersKnown))
	}
	c := b.policy.Combination
	verdict := c.verdict(came)
	d := c.mostDecisive(c.decisive(came, verdict))
	d.Pass = nil
	if verdict == visit.Accept {
		decisive := c.decisive(configured, verdict)
		d.VisitorText, d.Pass = firstText(decisive), mergePasses(decisive)
	}
	d.AdminNote = b.notes(configured)
	return d
}

// mostDecisive returns the decisive vote that is named: the first that came, or,
// where all had to accept, the first that accepted by fallback. Where several
// deciders accepted as they had to, none is named.
func (c Combination) mostDecisive(decisive []Decision) Decision {
	d := decisive[0]
	if c == All && accepts(d) {
		switch i := slices.IndexFunc(decisive, byFallback); {
		case i >= 0:
			d = decisive[i]
		case len(decisive) > 1:
			return Decision{
				Situation: Decided,
				Decision:  visit.Decision{Verdict: visit.Accept},
				Rule:      fmt.Sprintf("%s: %d deciders accepted", c, len(decisive)),
			}
		}
	}
	d.Rule = fmt.Sprintf("%s: %s %s", c, d.By, d.Rule)
	return d
}

func firstText(votes []Decision) string {
	for _, d := range votes {
		if !visit.IsBlank(d.VisitorText) {
			return d.VisitorText
		}
	}
	return ""
}

func mergePasses(votes []Decision) map[string]json.RawMessage {
	merged := map[string]json.RawMessage{}
	for _, d := range votes {
		for name, value := range d.Pass {
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

// hasName ignores the case: whoever reads the response may ignore it, too.
func hasName(fields map[string]json.RawMessage, name string) bool {
	for other := range fields {
		if strings.EqualFold(other, name) {
			return true
		}
	}
	return false
}

// notes joins the notes for the administrator. White space within a note becomes a
// single space where several were asked, so that no note can look like another
// decider's line.
func (b *Ballot) notes(votes []Decision) string {
	if b.voters == 1 {
		return votes[0].AdminNote
	}
	var lines []string
	for _, d := range votes {
		if words := strings.Fields(d.AdminNote); len(words) > 0 {
			lines = append(lines, d.By+": "+strings.Join(words, " "))
		}
	}
	return strings.Join(lines, "\n")
}
