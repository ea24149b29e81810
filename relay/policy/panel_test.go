package policy

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

func TestAPanelIsCompleted(t *testing.T) {
	given := Panel{
		Members: []Member{
			{Decider: "watchlist"},
			{Decider: "hosts", Fallbacks: map[Situation]Fallback{
				Timeout:  {Verdict: visit.Accept},
				Denied:   {Verdict: visit.Reject},
				BadReply: {VisitorText: "Ask your host"},
			}},
		},
		Policy: Policy{RejectText: "Not today", Fallbacks: map[Situation]Fallback{
			Timeout:  {VisitorText: "Too late", AdminNote: "Slow"},
			Denied:   {VisitorText: "Denied", AdminNote: "Broker"},
			BadReply: {Verdict: visit.Accept, VisitorText: "Come in", AdminNote: "Unchecked"},
		}},
	}
	p, err := given.Complete()
	if err != nil {
		t.Fatal(err)
	}
	if p.Combination != All || given.Members[0].Fallbacks != nil {
		t.Errorf("combination %q, members given %+v", p.Combination, given.Members)
	}
	for _, c := range []struct {
		name   string
		member int
		s      Situation
		want   Fallback
	}{
		{"the integration's stands where there is none", 0, Timeout, Fallback{visit.Reject, "Too late", "Slow"}},
		{"the default stands where neither has one", 0, NoDecider, Fallback{visit.Reject, "Not today", defaultNotes[NoDecider]}},
		{"one with a verdict stands alone", 1, Timeout, Fallback{visit.Accept, "", defaultNotes[Timeout]}},
		{"one with the same verdict stands alone too", 1, Denied, Fallback{visit.Reject, "Not today", defaultNotes[Denied]}},
		{"one that rewords keeps the verdict", 1, BadReply, Fallback{visit.Accept, "Ask your host", "Unchecked"}},
	} {
		if got := p.Members[c.member].Fallbacks[c.s]; got != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	again, err := p.Complete()
	if err != nil || !reflect.DeepEqual(again, p) {
		t.Errorf("completed twice: %v, %+v", err, again)
	}
}

func TestFaultsOfAPanel(t *testing.T) {
	one := []Member{{Decider: "watchlist"}}
	for _, c := range []struct {
		name  string
		panel Panel
		want  string
	}{
		{"no decider", Panel{}, "nobody decides"},
		{"only shadows", Panel{Members: []Member{{Decider: "new", Shadow: true}}}, "nobody decides"},
		{"an unknown combination", Panel{Combination: "most", Members: one}, `combination "most" is neither all nor any`},
		{"a name that is none", Panel{Members: []Member{{Decider: "a.b"}}}, `decider "a.b" must match`},
		{"a decider twice", Panel{Members: append(one, one...)}, `decider "watchlist" is there twice`},
		{"a decider beside its shadow", Panel{Members: append(one, Member{Decider: "watchlist", Shadow: true})}, "is there twice"},
		{"a fallback for no situation", Panel{Members: one, Policy: Policy{Fallbacks: map[Situation]Fallback{"late": {}}}}, `fallback "late" is for none of`},
		{"a fallback for an order", Panel{Members: one, Policy: Policy{Fallbacks: map[Situation]Fallback{LockedDown: {}}}}, `fallback "lockdown" is for none of`},
		{"a fallback that neither accepts nor rejects", Panel{Members: one, Policy: Policy{Fallbacks: map[Situation]Fallback{Timeout: {Verdict: "wait"}}}},
			`fallback "timeout": "wait" is neither accept nor reject`},
		{"a decider's fallback for what happens before it is asked",
			Panel{Members: []Member{{Decider: "watchlist", Fallbacks: map[Situation]Fallback{Overloaded: {}}}}},
			`decider "watchlist": fallback "overloaded" is for none of`},
	} {
		_, err := c.panel.Complete()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestAllFaultsOfAPanelAreToldAtOnce(t *testing.T) {
	_, err := Panel{Combination: "most", Members: []Member{{Decider: "a.b", Shadow: true}}}.Complete()
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("%v", err)
	}
}
