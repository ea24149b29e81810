package policy

import (
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

var noon = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

// order is one without a fault.
func order(kind visit.OrderKind, site string) visit.Order {
	return visit.Order{Kind: kind, Site: site, Reason: "drill", Since: noon.Add(-time.Hour), Until: noon.Add(time.Hour)}
}

func with(o visit.Order, change func(*visit.Order)) visit.Order {
	change(&o)
	return o
}

func TestWhichOrderIsInForce(t *testing.T) {
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
		st := NewOrders(c.orders).At("hq", noon)
		if !st.Known || st.Order.Kind != c.kind || st.Order.Message != c.text {
			t.Errorf("%s: %+v", c.name, st)
		}
	}
}

func TestAnswersOfOrders(t *testing.T) {
	for _, c := range []struct {
		name  string
		order visit.Order
		want  Answer
	}{
		{"a lockdown of a site", order(visit.OrderLockdown, "hq"), Answer{Situation: LockedDown, Rule: "rejected by lockdown of hq",
			Decision: visit.Decision{Verdict: visit.Reject, VisitorText: defaultLockdownText, AdminNote: noteLockdown}}},
		{"a lockdown of every site with a message", visit.Order{Kind: visit.OrderLockdown, Site: visit.AllSites, Message: "Fire drill"},
			Answer{Situation: LockedDown, Rule: "rejected by lockdown of every site",
				Decision: visit.Decision{Verdict: visit.Reject, VisitorText: "Fire drill", AdminNote: noteLockdown}}},
		{"an override", order(visit.OrderOverride, "hq"), Answer{Situation: Overridden, Rule: "accepted by override of hq",
			Decision: visit.Decision{Verdict: visit.Accept, AdminNote: noteOverride}}},
	} {
		got, ordered := NewOrders([]visit.Order{c.order}).At("hq", noon).Answer()
		if !ordered || !sameAnswer(got, c.want) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestWithoutAnOrderThereIsNoAnswer(t *testing.T) {
	for name, o := range map[string]Orders{"known": NewOrders(nil), "unknown": {}} {
		if a, ordered := o.At("hq", noon).Answer(); ordered {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if (Orders{}).At("hq", noon).Known {
		t.Error("orders that nobody read are known")
	}
}

// A caller that goes on using its slice must not change what is in force.
func TestOrdersAreASnapshot(t *testing.T) {
	all := []visit.Order{order(visit.OrderLockdown, "hq")}
	o := NewOrders(all)
	all[0] = order(visit.OrderOverride, "hq")
	if st := o.At("hq", noon); st.Order.Kind != visit.OrderLockdown {
		t.Errorf("%+v", st)
	}
}
