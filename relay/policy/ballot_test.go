package policy

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func sameDecision(a, b Decision) bool { return reflect.DeepEqual(a, b) }

// policyOf returns a policy of the deciders a, b and c and the shadow s. Of their
// fallbacks only b's accept.
func policyOf(t *testing.T, c Combination) Policy {
	t.Helper()
	lenient := map[Situation]Fallback{}
	for _, s := range Unanswered {
		lenient[s] = Fallback{Verdict: visit.Accept, VisitorText: "b is away"}
	}
	p, err := Policy{
		Combination: c,
		Deciders:    []Decider{{Name: "a"}, {Name: "b", Fallbacks: lenient}, {Name: "c"}, {Name: "s", Shadow: true}},
		RejectText:  "Not today",
	}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func yes(decider, text string) Vote {
	return Vote{Decider: decider, Situation: Decided, Decision: visit.Decision{Verdict: visit.Accept, VisitorText: text}}
}

func no(decider, text string) Vote {
	return Vote{Decider: decider, Situation: Decided, Decision: visit.Decision{Verdict: visit.Reject, VisitorText: text}}
}

func missed(decider string, s Situation) Vote { return Vote{Decider: decider, Situation: s} }

// names returns a decider for each letter.
func names(deciders string) []string {
	var all []string
	for _, d := range deciders {
		all = append(all, string(d))
	}
	return all
}

var ballots = []struct {
	name      string
	rule      Combination
	asked     string
	votes     []Vote
	settledBy int // how many votes settle; more than there are: none
	verdict   visit.Verdict
	situation Situation
	by, text  string
	why       string
}{
	{"everybody accepts", All, "abc", []Vote{yes("c", "three"), yes("a", ""), yes("b", "two")}, 3,
		visit.Accept, Decided, "", "two", "all: 3 deciders accepted"},
	{"one rejects", All, "abc", []Vote{yes("c", ""), no("a", "Banned"), yes("b", "")}, 2,
		visit.Reject, Decided, "a", "Banned", "all: a rejected"},
	{"one rejects without a text", All, "ab", []Vote{no("a", ""), yes("b", "Hello")}, 1,
		visit.Reject, Decided, "a", "Not today", "all: a rejected"},
	{"the first of several rejections counts", All, "abc", []Vote{no("c", "Late"), no("a", "Banned")}, 1,
		visit.Reject, Decided, "c", "Late", "all: c rejected"},
	{"a decider's rejection counts before an earlier one by fallback", All, "abc", []Vote{missed("a", NoDecider), no("c", "Banned")}, 1,
		visit.Reject, Decided, "c", "Banned", "all: c rejected"},
	{"a fallback rejects", All, "ab", []Vote{yes("b", ""), missed("a", BadReply)}, 2,
		visit.Reject, BadReply, "a", "Not today", "all: a rejected by fallback for bad_reply"},
	{"a fallback accepts in the place of a decider", All, "ab", []Vote{missed("b", Denied), yes("a", "")}, 2,
		visit.Accept, Denied, "b", "b is away", "all: b accepted by fallback for denied"},
	{"who has not voted has timed out", All, "ac", []Vote{yes("a", "Hello")}, 2,
		visit.Reject, Timeout, "c", "Not today", "all: c rejected by fallback for timeout"},
	{"who has not voted may be dispensable", All, "ab", []Vote{yes("a", "Hello")}, 2,
		visit.Accept, Timeout, "b", "Hello", "all: b accepted by fallback for timeout"},
	{"a single decider accepts", All, "a", []Vote{yes("a", "Hello")}, 1,
		visit.Accept, Decided, "a", "Hello", "all: a accepted"},

	{"one accepts", Any, "abc", []Vote{no("a", "Banned"), yes("c", "Hello"), no("b", "Never")}, 2,
		visit.Accept, Decided, "c", "Hello", "any: c accepted"},
	{"the first text of those who accepted", Any, "abc", []Vote{yes("c", "three"), yes("a", "one")}, 1,
		visit.Accept, Decided, "c", "one", "any: c accepted"},
	{"nobody accepts", Any, "abc", []Vote{no("b", "Never"), missed("a", Timeout), no("c", "Late")}, 3,
		visit.Reject, Decided, "b", "Never", "any: b rejected"},
	{"a decider's acceptance counts before a fallback's", Any, "bc", []Vote{missed("b", Timeout), yes("c", "")}, 2,
		visit.Accept, Decided, "c", "", "any: c accepted"},
	{"a fallback accepts where nobody decided", Any, "abc", []Vote{missed("b", NoDecider), missed("a", Timeout), missed("c", Timeout)}, 3,
		visit.Accept, NoDecider, "b", "b is away", "any: b accepted by fallback for no_decider"},
	{"a decider's rejection outweighs a fallback that accepts", Any, "ab", []Vote{missed("b", NoDecider), no("a", "Banned")}, 2,
		visit.Reject, Decided, "a", "Banned", "any: a rejected"},
	{"nobody votes and a fallback accepts", Any, "abc", nil, 1,
		visit.Accept, Timeout, "b", "b is away", "any: b accepted by fallback for timeout"},
	{"nobody votes and no fallback accepts", Any, "ac", nil, 1,
		visit.Reject, Timeout, "a", "Not today", "any: a rejected by fallback for timeout"},

	{"nobody was asked", All, "", nil, 0,
		visit.Accept, Unasked, "", "", "accepted by fallback for unasked"},
	{"only a shadow was asked", Any, "s", []Vote{no("s", "Banned")}, 0,
		visit.Accept, Unasked, "", "", "accepted by fallback for unasked"},
	{"a shadow rejects", All, "as", []Vote{no("s", "Banned"), yes("a", "")}, 2,
		visit.Accept, Decided, "a", "", "all: a accepted"},
	{"a decider votes that was not asked", All, "a", []Vote{no("b", "Banned"), no("z", "Banned"), yes("a", "")}, 3,
		visit.Accept, Decided, "a", "", "all: a accepted"},
	{"a decider votes twice", All, "ab", []Vote{yes("a", ""), no("a", "Banned"), yes("b", "")}, 3,
		visit.Accept, Decided, "", "", "all: 2 deciders accepted"},
	{"a vote is in no situation of a decider", All, "a", []Vote{missed("a", Unasked)}, 1,
		visit.Reject, Timeout, "a", "Not today", "all: a rejected by fallback for timeout"},
	{"a decision is neither", Any, "a", []Vote{{Decider: "a", Situation: Decided}}, 1,
		visit.Reject, BadReply, "a", "Not today", "any: a rejected by fallback for bad_reply"},
}

func TestBallot_Decides(t *testing.T) {
	for _, c := range ballots {
		ballot := policyOf(t, c.rule).Ballot(names(c.asked))
		settled := 0
		for !ballot.Settled() && settled < len(c.votes) {
			ballot.Add(c.votes[settled])
			settled++
		}
		if !ballot.Settled() {
			settled++
		}
		if settled != c.settledBy {
			t.Errorf("%s %s: settled by vote %d", c.rule, c.name, settled)
		}
		for _, v := range c.votes {
			ballot.Add(v)
		}
		a := ballot.Decide(none)
		if a.Verdict != c.verdict || a.Situation != c.situation || a.By != c.by || a.VisitorText != c.text || a.Rule != c.why {
			t.Errorf("%s %s: %+v", c.rule, c.name, a)
		}
		if a.Fallback != (c.situation != Decided) {
			t.Errorf("%s %s: fallback %v", c.rule, c.name, a.Fallback)
		}
	}
}

func TestBallot_ADecisionStays(t *testing.T) {
	for _, c := range []struct {
		name  string
		rule  Combination
		votes []Vote
		late  Vote
		want  Situation // of the late decider, in the record
	}{
		{"a vote comes after the time", All, []Vote{yes("a", "")}, no("b", "Banned"), Timeout},
		{"a vote comes after one that settled", All, []Vote{no("a", "")}, no("b", "Banned"), Unheard},
		{"an acceptance comes after a fallback", Any, []Vote{missed("b", Denied)}, yes("a", "Hello"), Timeout},
	} {
		ballot := policyOf(t, c.rule).Ballot(names("ab"))
		for _, v := range c.votes {
			ballot.Add(v)
		}
		given := ballot.Decide(none)
		ballot.Add(c.late)
		// Were it made anew, it would be for other orders.
		if again := ballot.Decide(ActiveOrder{}); !sameDecision(again, given) {
			t.Errorf("%s: %+v, then %+v", c.name, given, again)
		}
		i := slices.IndexFunc(ballot.Records(), func(r VoteRecord) bool { return r.Decider == c.late.Decider })
		if p := ballot.Records()[i]; p.Situation != c.want {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
}

func TestBallot_AnOrderThatComesWhileDecidersAreAskedDecides(t *testing.T) {
	down := NewOrders([]visit.Order{order(visit.OrderLockdown, "hq")}).At("hq", noon)
	ballot := policyOf(t, All).Ballot(names("ab"))
	ballot.Add(yes("a", "Hello"))
	if a := ballot.Decide(down); a.Situation != LockedDown || a.Verdict != visit.Reject || a.By != "" {
		t.Errorf("%+v", a)
	}
	want := []VoteRecord{
		{Decider: "a", Situation: Decided, Verdict: visit.Accept},
		{Decider: "b", Situation: Unheard},
		{Decider: "c", Situation: Unasked},
		{Decider: "s", Shadow: true, Situation: Unasked},
	}
	if got := ballot.Records(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestBallot_UnderUnknownOrdersAllNeedsEveryDecidersOwnDecision(t *testing.T) {
	ballot := policyOf(t, All).Ballot(names("ab"))
	ballot.Add(yes("a", "Hello"))
	ballot.Add(missed("b", NoDecider))
	a := ballot.Decide(ActiveOrder{})
	if a.Verdict != visit.Reject || a.By != "b" || a.VisitorText != "Not today" || a.AdminNote != "b: "+noteOrdersUnknown {
		t.Errorf("%+v", a)
	}
	if a.Rule != "all: b rejected by unknown orders over fallback for no_decider" {
		t.Error(a.Rule)
	}
	if p := ballot.Records()[1]; p.Verdict != visit.Reject || !p.Fallback {
		t.Errorf("%+v", p)
	}
}

func TestRecords_OfEveryDecider(t *testing.T) {
	ballot := policyOf(t, All).Ballot(names("abcs"))
	ballot.Add(Vote{Decider: "b", Situation: BadReply, Took: 2 * time.Millisecond})
	ballot.Add(Vote{Decider: "s", Situation: Decided, Decision: visit.Decision{Verdict: visit.Accept}, Took: 3 * time.Millisecond})
	if p := ballot.Records()[3]; p.Verdict != visit.Accept || p.Agreement != "" {
		t.Errorf("agreement before the decision: %+v", p)
	}
	ballot.Add(no("c", "Banned"))
	ballot.Decide(none)
	want := []VoteRecord{
		{Decider: "a", Situation: Unheard},
		{Decider: "b", Situation: BadReply, Verdict: visit.Accept, Fallback: true, Took: 2 * time.Millisecond},
		{Decider: "c", Situation: Decided, Verdict: visit.Reject},
		{Decider: "s", Shadow: true, Situation: Decided, Verdict: visit.Accept, Agreement: Differs, Took: 3 * time.Millisecond},
	}
	if got := ballot.Records(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestRecords_AgreementOfShadows(t *testing.T) {
	for _, c := range []struct {
		name   string
		vote   Vote
		active ActiveOrder
		want   Agreement
	}{
		{"it would have rejected too", no("s", ""), none, Agrees},
		{"it would have accepted", yes("s", ""), none, Differs},
		{"it did not decide", missed("s", Timeout), none, ""},
		{"a lockdown decided", no("s", ""), NewOrders([]visit.Order{order(visit.OrderLockdown, "hq")}).At("hq", noon), ""},
		{"an override decided", no("s", ""), NewOrders([]visit.Order{order(visit.OrderOverride, "hq")}).At("hq", noon), ""},
	} {
		ballot := policyOf(t, All).Ballot(names("as"))
		ballot.Add(no("a", ""))
		ballot.Decide(c.active)
		ballot.Add(c.vote) // a shadow may be late
		p := ballot.Records()[3]
		if p.Agreement != c.want || p.Situation != c.vote.Situation || p.Fallback || p.Verdict != c.vote.Decision.Verdict {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
}

func TestRecords_HaveNoSituationThatADeciderCannotBeIn(t *testing.T) {
	for s, want := range map[Situation]Situation{"": Timeout, "lost": Timeout, Overloaded: Timeout, Unasked: Timeout, Decided: BadReply} {
		ballot := policyOf(t, All).Ballot(names("a"))
		ballot.Add(missed("a", s))
		ballot.Decide(none)
		if p := ballot.Records()[0]; p.Situation != want || p.Verdict != visit.Reject || !p.Fallback {
			t.Errorf("%q: %+v", s, p)
		}
	}
}
