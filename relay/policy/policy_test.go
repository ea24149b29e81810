package policy

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

// none is the state of a site for which nothing is ordered.
var none = NewOrders(nil).At("hq", noon)

// withOne returns the policy of the only decider "one", complete.
func withOne(t *testing.T, p Policy) Policy {
	t.Helper()
	p.Deciders = []Decider{{Name: "one"}}
	p, err := p.Complete()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFallback_EverySituationHasOne(t *testing.T) {
	p := withOne(t, Policy{})
	for _, s := range Missed {
		a := p.Fallback(s, none)
		if a.Situation != s || !a.Fallback || a.By != "" {
			t.Errorf("%s: %+v", s, a)
		}
		if s != Unasked && (a.Verdict != visit.Reject || a.VisitorText == "" || a.AdminNote == "") {
			t.Errorf("%s: %+v", s, a)
		}
	}
}

func TestFallback_AConfiguredOneIsKept(t *testing.T) {
	p := withOne(t, Policy{Fallbacks: map[Situation]Fallback{
		Timeout:   {Verdict: visit.Accept},
		NoDecider: {VisitorText: "Nobody is in"},
	}, RejectText: "Not today"})
	if a := p.Fallback(Timeout, none); a.Verdict != visit.Accept || a.VisitorText != "" || a.Rule != "accepted by fallback for timeout" {
		t.Errorf("timeout: %+v", a)
	}
	if a := p.Fallback(NoDecider, none); a.Verdict != visit.Reject || a.VisitorText != "Nobody is in" {
		t.Errorf("no decider: %+v", a)
	}
	if a := p.Fallback(Denied, none); a.VisitorText != "Not today" || a.Rule != "rejected by fallback for denied" {
		t.Errorf("denied: %+v", a)
	}
}

func TestFallback_WhereNobodyIsAskedNobodyObjects(t *testing.T) {
	if a := withOne(t, Policy{}).Fallback(Unasked, none); a.Verdict != visit.Accept || a.VisitorText != "" || a.AdminNote != "" {
		t.Errorf("by default: %+v", a)
	}
	strict := withOne(t, Policy{Fallbacks: map[Situation]Fallback{Unasked: {Verdict: visit.Reject}}})
	if a := strict.Fallback(Unasked, none); a.Verdict != visit.Reject || a.VisitorText == "" || a.AdminNote == "" {
		t.Errorf("as configured: %+v", a)
	}
}

func TestFallback_ASituationWithoutOneCountsAsATimeout(t *testing.T) {
	p := withOne(t, Policy{Fallbacks: map[Situation]Fallback{Timeout: {VisitorText: "Too late"}}})
	for _, s := range []Situation{"", "elsewhere", Decided, Unheard, LockedDown, Overridden} {
		if a := p.Fallback(s, none); a.Situation != Timeout || a.Verdict != visit.Reject || a.VisitorText != "Too late" {
			t.Errorf("%q: %+v", s, a)
		}
	}
}

// decided is the decision after asking the only decider of a policy.
func decided(t *testing.T, p Policy, d visit.Decision, err error, active ActiveOrder) Decision {
	t.Helper()
	ballot := withOne(t, p).Ballot([]string{"one"})
	ballot.Add(Vote{Decider: "one", Situation: SituationOf(err), Decision: d})
	return ballot.Decide(active)
}

func TestDecide_ARejectionAlwaysHasAText(t *testing.T) {
	p := Policy{}
	if a := decided(t, p, visit.Decision{Verdict: visit.Reject}, nil, none); a.VisitorText != DefaultRejectText || a.Rule != "all: one rejected" {
		t.Errorf("%+v", a)
	}
	if a := decided(t, p, visit.Decision{Verdict: visit.Reject, VisitorText: "No"}, nil, none); a.VisitorText != "No" {
		t.Errorf("%+v", a)
	}
}

func TestDecide_AnUnknownVerdictIsABadReply(t *testing.T) {
	for _, v := range []visit.Verdict{"", "perhaps", "Accept"} {
		a := decided(t, Policy{}, visit.Decision{Verdict: v, VisitorText: "Come in"}, nil, none)
		if a.Situation != BadReply || a.Verdict != visit.Reject || a.VisitorText != DefaultRejectText {
			t.Errorf("%q: %+v", v, a)
		}
	}
}

func TestFallback_WhileOrdersAreUnknownOnlyADeciderLetsAnybodyIn(t *testing.T) {
	p := withOne(t, Policy{Fallbacks: map[Situation]Fallback{
		Timeout: {Verdict: visit.Accept, VisitorText: "Come in", AdminNote: "Not checked"},
		Denied:  {Verdict: visit.Reject, VisitorText: "Wait", AdminNote: "Denied"},
	}, RejectText: "Not today"})
	for _, c := range []struct {
		name             string
		a                Decision
		verdict          visit.Verdict
		text, note, rule string
	}{
		{"a fallback that would accept", p.Fallback(Timeout, ActiveOrder{}), visit.Reject, "Not today", noteOrdersUnknown,
			"rejected by unknown orders over fallback for timeout"},
		{"the same after a question", decided(t, p, visit.Decision{}, visit.ErrTimeout, ActiveOrder{}), visit.Reject, "Not today", noteOrdersUnknown,
			"all: one rejected by unknown orders over fallback for timeout"},
		{"nobody was asked", p.Fallback(Unasked, ActiveOrder{}), visit.Reject, "Not today", noteOrdersUnknown,
			"rejected by unknown orders over fallback for unasked"},
		{"a fallback that rejects keeps its texts", p.Fallback(Denied, ActiveOrder{}), visit.Reject, "Wait", "Denied",
			"rejected by fallback for denied"},
		{"a decider accepts", decided(t, p, visit.Decision{Verdict: visit.Accept, VisitorText: "Hello"}, nil, ActiveOrder{}), visit.Accept, "Hello", "", "all: one accepted"},
	} {
		if c.a.Verdict != c.verdict || c.a.VisitorText != c.text || c.a.AdminNote != c.note || c.a.Rule != c.rule {
			t.Errorf("%s: %+v", c.name, c.a)
		}
	}
}

func TestComplete_FillsTheGaps(t *testing.T) {
	given := Policy{
		Deciders: []Decider{
			{Name: "watchlist"},
			{Name: "hosts", Fallbacks: map[Situation]Fallback{
				Timeout:  {Verdict: visit.Accept},
				Denied:   {Verdict: visit.Reject},
				BadReply: {VisitorText: "Ask your host"},
			}},
		},
		RejectText: "Not today",
		Fallbacks: map[Situation]Fallback{
			Timeout:  {VisitorText: "Too late", AdminNote: "Slow"},
			Denied:   {VisitorText: "Denied", AdminNote: "Broker"},
			BadReply: {Verdict: visit.Accept, VisitorText: "Come in", AdminNote: "Unchecked"},
		},
	}
	p, err := given.Complete()
	if err != nil {
		t.Fatal(err)
	}
	if p.Combination != All || given.Deciders[0].Fallbacks != nil {
		t.Errorf("combination %q, deciders given %+v", p.Combination, given.Deciders)
	}
	for _, c := range []struct {
		name    string
		decider int
		s       Situation
		want    Fallback
	}{
		{"the integration's stands where there is none", 0, Timeout, Fallback{visit.Reject, "Too late", "Slow"}},
		{"the default stands where neither has one", 0, NoDecider, Fallback{visit.Reject, "Not today", defaultNotes[NoDecider]}},
		{"one with a verdict stands alone", 1, Timeout, Fallback{visit.Accept, "", defaultNotes[Timeout]}},
		{"one with the same verdict stands alone too", 1, Denied, Fallback{visit.Reject, "Not today", defaultNotes[Denied]}},
		{"one that rewords keeps the verdict", 1, BadReply, Fallback{visit.Accept, "Ask your host", "Unchecked"}},
	} {
		if got := p.Deciders[c.decider].Fallbacks[c.s]; got != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	again, err := p.Complete()
	if err != nil || !reflect.DeepEqual(again, p) {
		t.Errorf("completed twice: %v, %+v", err, again)
	}
}

func TestComplete_SaysWhatIsWrong(t *testing.T) {
	one := []Decider{{Name: "watchlist"}}
	for _, c := range []struct {
		name   string
		policy Policy
		want   string
	}{
		{"no decider", Policy{}, "at least one decider is needed that is not a shadow"},
		{"only shadows", Policy{Deciders: []Decider{{Name: "new", Shadow: true}}}, "at least one decider is needed that is not a shadow"},
		{"an unknown combination", Policy{Combination: "most", Deciders: one}, `combination must be all or any, not "most"`},
		{"a name that is none", Policy{Deciders: []Decider{{Name: "a.b"}}}, `decider "a.b" must match`},
		{"a decider twice", Policy{Deciders: append(one, one...)}, `decider "watchlist" is configured twice`},
		{"a decider beside its shadow", Policy{Deciders: append(one, Decider{Name: "watchlist", Shadow: true})}, "is configured twice"},
		{"a fallback for no situation", Policy{Deciders: one, Fallbacks: map[Situation]Fallback{"late": {}}}, `fallback "late" must be for one of`},
		{"a fallback for an order", Policy{Deciders: one, Fallbacks: map[Situation]Fallback{LockedDown: {}}}, `fallback "lockdown" must be for one of`},
		{"a fallback that neither accepts nor rejects", Policy{Deciders: one, Fallbacks: map[Situation]Fallback{Timeout: {Verdict: "wait"}}},
			`fallback "timeout": the verdict must be accept or reject, not "wait"`},
		{"a decider's fallback for what happens before it is asked",
			Policy{Deciders: []Decider{{Name: "watchlist", Fallbacks: map[Situation]Fallback{Overloaded: {}}}}},
			`decider "watchlist": fallback "overloaded" must be for one of`},
	} {
		_, err := c.policy.Complete()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestComplete_SaysEverythingAtOnce(t *testing.T) {
	_, err := Policy{Combination: "most", Deciders: []Decider{{Name: "a.b", Shadow: true}}}.Complete()
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("%v", err)
	}
}
