package main

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// known is a ledger in which the bodies are acknowledged, each with itself as its id.
func known(bodies ...string) *ledger {
	l := newLedger()
	for _, b := range bodies {
		l.acknowledge(b, l.send([]byte(b)))
	}
	return l
}

func events(bodies ...string) (all []stored) {
	for _, b := range bodies {
		all = append(all, stored{b, []byte(b)})
	}
	return all
}

func TestSettle_FindsWhatIsNotAsItWasAcknowledged(t *testing.T) {
	unanswered := known("a", "b")
	unanswered.send([]byte("c"))
	for _, c := range []struct {
		name    string
		ledger  *ledger
		stream  []stored
		spooled []string
		want    findings
	}{
		{"everything is stored", known("a", "b"), events("b", "a"), nil, findings{}},
		{"one is still in the spool", known("a", "b"), events("a"), []string{"b"}, findings{}},
		{"one is in both", known("a", "b"), events("a", "b"), []string{"b"}, findings{}},
		{"one is in neither", known("a", "b"), events("a"), nil, findings{missing: 1}},
		{"one that was not answered is stored", unanswered, events("a", "b", "c"), nil, findings{}},
		{"one is stored twice", known("a", "b"), events("a", "b", "a"), nil, findings{twice: 1}},
		{"one is stored twice under two ids", known("a", "b"), append(events("a", "b"), stored{"c", []byte("a")}), nil, findings{twice: 1}},
		{"one has another's body", known("a", "b"), []stored{{"a", []byte("a")}, {"b", []byte("a")}}, nil, findings{altered: 1}},
		{"one was never sent", known("a"), events("a", "z"), nil, findings{altered: 1}},
	} {
		if got := c.ledger.settle(c.stream, c.spooled); got != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
		if got := c.ledger.settle(c.stream, c.spooled); got != (findings{}) {
			t.Errorf("%s, and it is reported again: %+v", c.name, got)
		}
	}
}

func TestMissing_ForgetsNothing(t *testing.T) {
	l := known("a", "b")
	for range 2 {
		if n := l.missing(events("a"), nil); n != 1 {
			t.Errorf("%d are missing", n)
		}
	}
}

func TestPrintTable_SaysWhatShouldNotHaveBeen(t *testing.T) {
	good := func(change func(*row)) row {
		r := row{counts: counts{acknowledged: 9}, control: counts{findings: findings{missing: 1}}}
		change(&r)
		return r
	}
	for _, c := range []struct {
		name string
		row  row
		bad  bool
	}{
		{"nothing is missing", good(func(*row) {}), false},
		{"one is missing", good(func(r *row) { r.missing = 1 }), true},
		{"one is there twice", good(func(r *row) { r.twice = 1 }), true},
		{"one is altered", good(func(r *row) { r.altered = 1 }), true},
		{"a disk that lies lost nothing", good(func(r *row) { r.control.missing = 0 }), true},
		{"a disk that lies lost what was sent again", good(func(r *row) { r.control.missing, r.resends = 0, true }), false},
		{"nothing was acknowledged", good(func(r *row) { r.acknowledged = 0 }), true},
		{"the relay did not start", good(func(r *row) { r.failed = errors.New("not ready") }), true},
	} {
		if err := printTable(io.Discard, []row{c.row}); (err != nil) != c.bad {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestPrintTable_EndsWithTheSum(t *testing.T) {
	var out strings.Builder
	rows := []row{
		{scenario: scenario{name: "a"}, counts: counts{cuts: 1, acknowledged: 10}, control: counts{findings: findings{missing: 1}}},
		{scenario: scenario{name: "b"}, counts: counts{cuts: 2, acknowledged: 20, findings: findings{missing: 7}}, control: counts{findings: findings{missing: 1}}},
	}
	if err := printTable(&out, rows); err == nil {
		t.Error("7 are missing, and there is no error")
	}
	_, last, _ := strings.Cut(out.String(), "TOTAL")
	if total := strings.Fields("TOTAL" + last); !slices.Equal(total[:5], []string{"TOTAL", "3", "0", "30", "7"}) {
		t.Errorf("the last lines are %q", total)
	}
}

func TestPlan_TakesScenariosAndCuts(t *testing.T) {
	for _, c := range []struct {
		words     string
		cuts      int
		scenarios int
		ok        bool
	}{
		{"", 10, len(scenarios), true},
		{"200", 200, len(scenarios), true},
		{"spool", 10, 1, true},
		{"spool restart 3", 3, 2, true},
		{"spol 3", 3, 0, false},
		{"spool 0", 0, 1, false},
		{"spool -1", -1, 1, false},
	} {
		p := plan{cuts: 10}
		if ok := p.read(strings.Fields(c.words)); ok != c.ok || p.cuts != c.cuts || len(p.scenarios) != c.scenarios {
			t.Errorf("%q: %t, %d cuts of %d scenarios", c.words, ok, p.cuts, len(p.scenarios))
		}
	}
}

func TestValues_HasEverySeriesOfAMetric(t *testing.T) {
	text := "# HELP connected 1 while connected.\nconnected{connection=\"a b\"} 1\nconnected{connection=\"b\"} 0\nconnected_total 2\n"
	for name, want := range map[string][]float64{"connected": {1, 0}, "connected_total": {2}, "absent": nil} {
		if got := values(text, name); !slices.Equal(got, want) {
			t.Errorf("%s is %v", name, got)
		}
	}
}

func TestOrderNumber_IsThatOfTheText(t *testing.T) {
	if n := orderNumber(orderText(17)); n != 17 {
		t.Errorf("the number is %d", n)
	}
	if n := orderNumber("of somebody else"); n != 0 {
		t.Errorf("another order has the number %d", n)
	}
}
