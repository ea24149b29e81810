package policy

import (
	"reflect"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestParts(t *testing.T) {
	tally := panelOf(t, All).Tally(names("abcs"))
	tally.Add(Vote{Decider: "b", Situation: BadReply, Took: 2 * time.Millisecond})
	tally.Add(Vote{Decider: "s", Situation: Decided, Decision: visit.Decision{Verdict: visit.Accept}, Took: 3 * time.Millisecond})
	if p := tally.Parts()[3]; p.Verdict != visit.Accept || p.Agreement != "" {
		t.Errorf("agreement before the answer: %+v", p)
	}
	tally.Add(no("c", "Banned"))
	tally.Answer(none)
	want := []Part{
		{Decider: "a", Situation: Unheard},
		{Decider: "b", Situation: BadReply, Verdict: visit.Accept, Fallback: true, Took: 2 * time.Millisecond},
		{Decider: "c", Situation: Decided, Verdict: visit.Reject},
		{Decider: "s", Shadow: true, Situation: Decided, Verdict: visit.Accept, Agreement: Differs, Took: 3 * time.Millisecond},
	}
	if got := tally.Parts(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestAgreementOfShadows(t *testing.T) {
	for _, c := range []struct {
		name     string
		vote     Vote
		standing Standing
		want     Agreement
	}{
		{"it would have rejected too", no("s", ""), none, Agrees},
		{"it would have accepted", yes("s", ""), none, Differs},
		{"it did not decide", missed("s", Timeout), none, ""},
		{"a lockdown decided", no("s", ""), NewOrders([]visit.Order{order(visit.OrderLockdown, "hq")}).At("hq", noon), ""},
		{"an override decided", no("s", ""), NewOrders([]visit.Order{order(visit.OrderOverride, "hq")}).At("hq", noon), ""},
	} {
		tally := panelOf(t, All).Tally(names("as"))
		tally.Add(no("a", ""))
		tally.Answer(c.standing)
		tally.Add(c.vote) // a shadow may be late
		p := tally.Parts()[3]
		if p.Agreement != c.want || p.Situation != c.vote.Situation || p.Fallback || p.Verdict != c.vote.Decision.Verdict {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
}

func TestTheRecordHasNoSituationThatADeciderCannotBeIn(t *testing.T) {
	for s, want := range map[Situation]Situation{"": Timeout, "lost": Timeout, Overloaded: Timeout, Unasked: Timeout, Decided: BadReply} {
		tally := panelOf(t, All).Tally(names("a"))
		tally.Add(missed("a", s))
		tally.Answer(none)
		if p := tally.Parts()[0]; p.Situation != want || p.Verdict != visit.Reject || !p.Fallback {
			t.Errorf("%q: %+v", s, p)
		}
	}
}
