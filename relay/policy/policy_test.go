package policy

import (
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

// none is the standing of a site for which nothing is ordered.
var none = NewOrders(nil).At("hq", noon)

func TestEverySituationHasAFallback(t *testing.T) {
	p := Policy{}.Complete()
	for _, s := range Missed {
		a := p.Fall(s, none)
		if a.Situation != s || !a.Fallback || a.By != "" {
			t.Errorf("%s: %+v", s, a)
		}
		if s != Unasked && (a.Verdict != visit.Reject || a.VisitorText == "" || a.AdminNote == "") {
			t.Errorf("%s: %+v", s, a)
		}
	}
}

func TestConfiguredFallbacksAreKept(t *testing.T) {
	p := Policy{Fallbacks: map[Situation]Fallback{
		Timeout:   {Verdict: visit.Accept},
		NoDecider: {VisitorText: "Nobody is in"},
	}, RejectText: "Not today"}.Complete()
	if a := p.Fall(Timeout, none); a.Verdict != visit.Accept || a.VisitorText != "" || a.Rule != "accepted by fallback for timeout" {
		t.Errorf("timeout: %+v", a)
	}
	if a := p.Fall(NoDecider, none); a.Verdict != visit.Reject || a.VisitorText != "Nobody is in" {
		t.Errorf("no decider: %+v", a)
	}
	if a := p.Fall(Denied, none); a.VisitorText != "Not today" || a.Rule != "rejected by fallback for denied" {
		t.Errorf("denied: %+v", a)
	}
}

func TestNobodyObjectsToAVisitorAboutWhomNobodyHasASay(t *testing.T) {
	if a := (Policy{}).Complete().Fall(Unasked, none); a.Verdict != visit.Accept || a.VisitorText != "" || a.AdminNote != "" {
		t.Errorf("by default: %+v", a)
	}
	strict := Policy{Fallbacks: map[Situation]Fallback{Unasked: {Verdict: visit.Reject}}}.Complete()
	if a := strict.Fall(Unasked, none); a.Verdict != visit.Reject || a.VisitorText == "" || a.AdminNote == "" {
		t.Errorf("as configured: %+v", a)
	}
}

func TestASituationWithoutAFallbackCountsAsATimeout(t *testing.T) {
	p := Policy{Fallbacks: map[Situation]Fallback{Timeout: {VisitorText: "Too late"}}}.Complete()
	for _, s := range []Situation{"", "elsewhere", Decided, Unheard, LockedDown, Overridden} {
		if a := p.Fall(s, none); a.Situation != Timeout || a.Verdict != visit.Reject || a.VisitorText != "Too late" {
			t.Errorf("%q: %+v", s, a)
		}
	}
}

// decided is the answer to what asking the only decider of a panel brought.
func decided(t *testing.T, p Policy, d visit.Decision, err error, st Standing) Answer {
	t.Helper()
	panel, fault := Panel{Members: []Member{{Decider: "one"}}, Policy: p}.Complete()
	if fault != nil {
		t.Fatal(fault)
	}
	tally := panel.Tally([]string{"one"})
	tally.Add(Vote{Decider: "one", Situation: Of(err), Decision: d})
	return tally.Answer(st)
}

func TestARejectionAlwaysHasAText(t *testing.T) {
	p := Policy{}.Complete()
	if a := decided(t, p, visit.Decision{Verdict: visit.Reject}, nil, none); a.VisitorText != DefaultRejectText || a.Rule != "all: one rejected" {
		t.Errorf("%+v", a)
	}
	if a := decided(t, p, visit.Decision{Verdict: visit.Reject, VisitorText: "No"}, nil, none); a.VisitorText != "No" {
		t.Errorf("%+v", a)
	}
}

func TestADecisionThatIsNeitherIsABadReply(t *testing.T) {
	for _, v := range []visit.Verdict{"", "perhaps", "Accept"} {
		a := decided(t, Policy{}, visit.Decision{Verdict: v, VisitorText: "Come in"}, nil, none)
		if a.Situation != BadReply || a.Verdict != visit.Reject || a.VisitorText != DefaultRejectText {
			t.Errorf("%q: %+v", v, a)
		}
	}
}

func TestWithoutTheOrdersOnlyADeciderLetsAnybodyIn(t *testing.T) {
	p := Policy{Fallbacks: map[Situation]Fallback{
		Timeout: {Verdict: visit.Accept, VisitorText: "Come in", AdminNote: "Not checked"},
		Denied:  {Verdict: visit.Reject, VisitorText: "Wait", AdminNote: "Denied"},
	}, RejectText: "Not today"}.Complete()
	for _, c := range []struct {
		name             string
		a                Answer
		verdict          visit.Verdict
		text, note, rule string
	}{
		{"a fallback that would accept", p.Fall(Timeout, Standing{}), visit.Reject, "Not today", noteOrdersUnknown,
			"rejected by unknown orders over fallback for timeout"},
		{"the same after a question", decided(t, p, visit.Decision{}, visit.ErrTimeout, Standing{}), visit.Reject, "Not today", noteOrdersUnknown,
			"all: one rejected by unknown orders over fallback for timeout"},
		{"nobody has a say", p.Fall(Unasked, Standing{}), visit.Reject, "Not today", noteOrdersUnknown,
			"rejected by unknown orders over fallback for unasked"},
		{"a fallback that rejects keeps its texts", p.Fall(Denied, Standing{}), visit.Reject, "Wait", "Denied",
			"rejected by fallback for denied"},
		{"a decider accepts", decided(t, p, visit.Decision{Verdict: visit.Accept, VisitorText: "Hello"}, nil, Standing{}), visit.Accept, "Hello", "", "all: one accepted"},
	} {
		if c.a.Verdict != c.verdict || c.a.VisitorText != c.text || c.a.AdminNote != c.note || c.a.Rule != c.rule {
			t.Errorf("%s: %+v", c.name, c.a)
		}
	}
}
