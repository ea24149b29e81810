package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

var noon = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

// order is a valid one.
func order(kind visit.OrderKind, site string) visit.Order {
	return visit.Order{Kind: kind, Site: site, Reason: "drill", Since: noon.Add(-time.Hour), Until: noon.Add(time.Hour)}
}

func with(o visit.Order, change func(*visit.Order)) visit.Order {
	change(&o)
	return o
}

func TestOrders_WhichIsInForce(t *testing.T) {
	down, over := order(visit.OrderLockdown, "hq"), order(visit.OrderOverride, "hq")
	named := func(o visit.Order, message string) visit.Order {
		o.Message = message
		return o
	}
	for _, c := range []struct {
		name   string
		orders []visit.Order
		kind   visit.OrderKind // empty where none is
		text   string
	}{
		{"none", nil, "", ""},
		{"one for the site", []visit.Order{down}, visit.OrderLockdown, ""},
		{"one for another site", []visit.Order{order(visit.OrderLockdown, "lab")}, "", ""},
		{"one for every site", []visit.Order{order(visit.OrderOverride, visit.AllSites)}, visit.OrderOverride, ""},
		{"a lockdown beats an override", []visit.Order{down, over}, visit.OrderLockdown, ""},
		{"a lockdown of every site beats an override of the site", []visit.Order{over, order(visit.OrderLockdown, visit.AllSites)}, visit.OrderLockdown, ""},
		{"the site's own lockdown beats that of every site",
			[]visit.Order{named(order(visit.OrderLockdown, visit.AllSites), "all"), named(down, "own"), named(order(visit.OrderLockdown, visit.AllSites), "all")}, visit.OrderLockdown, "own"},
		{"a later lockdown beats an earlier",
			[]visit.Order{named(down, "first"), with(named(down, "second"), func(o *visit.Order) { o.Since = noon })}, visit.OrderLockdown, "second"},
		{"it ends at its end", []visit.Order{with(over, func(o *visit.Order) { o.Until = noon })}, "", ""},
		{"it holds until just before", []visit.Order{with(over, func(o *visit.Order) { o.Until = noon.Add(1) })}, visit.OrderOverride, ""},
		{"a lockdown without an end holds", []visit.Order{with(down, func(o *visit.Order) { o.Until = time.Time{} })}, visit.OrderLockdown, ""},
		{"a lockdown that has ended gives way to an override",
			[]visit.Order{with(down, func(o *visit.Order) { o.Until = noon }), over}, visit.OrderOverride, ""},
		{"a lockdown from a clock that runs ahead holds", []visit.Order{with(down, func(o *visit.Order) { o.Since = noon.Add(time.Minute) })}, visit.OrderLockdown, ""},
		{"a lockdown with errors holds everywhere", []visit.Order{{Kind: visit.OrderLockdown}}, visit.OrderLockdown, ""},
		{"an override without an end does not", []visit.Order{with(over, func(o *visit.Order) { o.Until = time.Time{} })}, "", ""},
		{"nor does one without a site", []visit.Order{with(over, func(o *visit.Order) { o.Site = "" })}, "", ""},
		{"an unknown kind has no effect", []visit.Order{with(down, func(o *visit.Order) { o.Kind = "closed" })}, "", ""},
	} {
		active := NewOrders(c.orders).At("hq", noon)
		if !active.Known || active.Order.Kind != c.kind || active.Order.Message != c.text {
			t.Errorf("%s: %+v", c.name, active)
		}
	}
}

func TestActiveOrder_Decides(t *testing.T) {
	for _, c := range []struct {
		name  string
		order visit.Order
		want  Decision
	}{
		{"a lockdown of a site", order(visit.OrderLockdown, "hq"), Decision{Situation: LockedDown, Rule: "rejected by lockdown of hq",
			Decision: visit.Decision{Verdict: visit.Reject, VisitorText: defaultLockdownText, AdminNote: noteLockdown}}},
		{"a lockdown of every site with a message", visit.Order{Kind: visit.OrderLockdown, Site: visit.AllSites, Message: "Fire drill"},
			Decision{Situation: LockedDown, Rule: "rejected by lockdown of every site",
				Decision: visit.Decision{Verdict: visit.Reject, VisitorText: "Fire drill", AdminNote: noteLockdown}}},
		{"an override", order(visit.OrderOverride, "hq"), Decision{Situation: Overridden, Rule: "accepted by override of hq",
			Decision: visit.Decision{Verdict: visit.Accept, AdminNote: noteOverride}}},
	} {
		got, ordered := NewOrders([]visit.Order{c.order}).At("hq", noon).Decide()
		if !ordered || !sameDecision(got, c.want) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestActiveOrder_WithoutAnOrderThereIsNoDecision(t *testing.T) {
	for name, o := range map[string]Orders{"known": NewOrders(nil), "unknown": {}} {
		if a, ordered := o.At("hq", noon).Decide(); ordered {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if (Orders{}).At("hq", noon).Known {
		t.Error("orders that nobody read are known")
	}
}

// A caller that goes on using its slice must not change what is in force.
func TestOrders_AreASnapshot(t *testing.T) {
	all := []visit.Order{order(visit.OrderLockdown, "hq")}
	o := NewOrders(all)
	all[0] = order(visit.OrderOverride, "hq")
	if active := o.At("hq", noon); active.Order.Kind != visit.OrderLockdown {
		t.Errorf("%+v", active)
	}
}

func TestOldOrders_HoldLockdownsAlone(t *testing.T) {
	now := time.Now()
	all := []visit.Order{
		{Kind: visit.OrderOverride, Site: "hq", Reason: "x", Since: now, Until: now.Add(time.Hour)},
		{Kind: visit.OrderLockdown, Site: "branch", Since: now},
	}
	old := OldOrders(all)
	if active := old.At("hq", now); active.Known || active.Order.Kind != "" {
		t.Errorf("an old override lets people in: %+v", active)
	}
	if active := old.At("branch", now); active.Known || active.Order.Kind != visit.OrderLockdown {
		t.Errorf("an old lockdown does not hold: %+v", active)
	}
	if active := NewOrders(all).At("hq", now); !active.Known || active.Order.Kind != visit.OrderOverride {
		t.Errorf("%+v", active)
	}
}

func TestDecide_WhereOrdersMustBeKnownNotEvenADeciderLetsAnybodyIn(t *testing.T) {
	strict := ActiveOrder{Strict: true}
	for _, c := range []Combination{All, Any} {
		for name, verdict := range map[string]visit.Verdict{"accepts": visit.Accept, "rejects": visit.Reject} {
			decide := func(active ActiveOrder) Decision {
				ballot := policyOf(t, c).Ballot(names("ab"))
				for _, who := range []string{"a", "b"} {
					ballot.Add(Vote{Decider: who, Situation: Decided, Decision: visit.Decision{Verdict: verdict, VisitorText: "Hello"}})
				}
				return ballot.Decide(active)
			}
			a := decide(strict)
			switch {
			case a.Verdict != visit.Reject:
				t.Errorf("%s, a decider %s: %+v", c, name, a)
			case verdict == visit.Accept && (a.Situation != OrdersUnknown || a.VisitorText != "Not today" || !strings.HasPrefix(a.Rule, "rejected by unknown orders over: ")):
				t.Errorf("%s: %+v", c, a)
			case verdict == visit.Reject && a.Situation != Decided:
				t.Errorf("%s: a rejection is not the decider's own: %+v", c, a)
			}
			if a := decide(ActiveOrder{Known: true, Strict: true}); a.Verdict != verdict {
				t.Errorf("%s, with known orders: %+v", c, a)
			}
		}
	}
}
