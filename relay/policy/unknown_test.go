package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestOldOrders(t *testing.T) {
	now := time.Now()
	all := []visit.Order{
		{Kind: visit.OrderOverride, Site: "hq", Reason: "x", Since: now, Until: now.Add(time.Hour)},
		{Kind: visit.OrderLockdown, Site: "branch", Since: now},
	}
	old := OldOrders(all)
	if st := old.At("hq", now); st.Known || st.Order.Kind != "" {
		t.Errorf("an old override lets people in: %+v", st)
	}
	if st := old.At("branch", now); st.Known || st.Order.Kind != visit.OrderLockdown {
		t.Errorf("an old lockdown does not hold: %+v", st)
	}
	if st := NewOrders(all).At("hq", now); !st.Known || st.Order.Kind != visit.OrderOverride {
		t.Errorf("%+v", st)
	}
}

func TestWhereOrdersMustBeKnownNotEvenADeciderLetsAnybodyIn(t *testing.T) {
	strict := Standing{Strict: true}
	for _, c := range []Combination{All, Any} {
		for name, verdict := range map[string]visit.Verdict{"accepts": visit.Accept, "rejects": visit.Reject} {
			answer := func(st Standing) Answer {
				tally := panelOf(t, c).Tally(names("ab"))
				for _, who := range []string{"a", "b"} {
					tally.Add(Vote{Decider: who, Situation: Decided, Decision: visit.Decision{Verdict: verdict, VisitorText: "Hello"}})
				}
				return tally.Answer(st)
			}
			a := answer(strict)
			switch {
			case a.Verdict != visit.Reject:
				t.Errorf("%s, a decider %s: %+v", c, name, a)
			case verdict == visit.Accept && (a.Situation != OrdersUnknown || a.VisitorText != "Not today" || !strings.HasPrefix(a.Rule, "rejected by unknown orders over: ")):
				t.Errorf("%s: %+v", c, a)
			case verdict == visit.Reject && a.Situation != Decided:
				t.Errorf("%s: a rejection is not the decider's own: %+v", c, a)
			}
			if a := answer(Standing{Known: true, Strict: true}); a.Verdict != verdict {
				t.Errorf("%s, with known orders: %+v", c, a)
			}
		}
	}
}
