package ledger

import (
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// history is how many entries of a key a bucket keeps.
const history = 10

var noon = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

// given is an entry of revision r, stored so many seconds after noon.
func given(key string, o visit.Order, id string, r uint64, seconds int) Entry {
	o.ID, o.Since = id, noon.Add(time.Duration(seconds)*time.Second)
	return Entry{Key: key, Order: &o, Revision: r, Stored: o.Since}
}

func lifted(key, id string, r uint64, seconds int) Entry {
	at := noon.Add(time.Duration(seconds) * time.Second)
	return Entry{Key: key, Lift: &visit.Lift{Lifts: id, Since: at}, Revision: r, Stored: at}
}

func junk(key string, r uint64, seconds int) Entry {
	return Entry{Key: key, Revision: r, Stored: noon.Add(time.Duration(seconds) * time.Second)}.Read(nil, []byte("?"), 0)
}

func deletion(key string, r uint64, seconds int) Entry {
	e := Entry{Key: key, Revision: r, Stored: noon.Add(time.Duration(seconds) * time.Second)}
	return e.Read(map[string][]string{headerOperation: {"DEL"}}, nil, 0)
}

func ledgerOf(entries ...Entry) Ledger {
	l := Ledger{}
	for _, e := range entries {
		l[e.Key] = l[e.Key].With(e)
	}
	return l
}

func TestLedger_RereadingMergesWithWhatWasKnown(t *testing.T) {
	now := noon.Add(time.Hour)
	const lock, let = "lockdown.site.hq", "override.site.hq"
	locked := visit.Order{Kind: visit.OrderLockdown, Site: "hq"}
	ended := visit.Order{Kind: visit.OrderLockdown, Site: "hq", Until: now}
	open := visit.Order{Kind: visit.OrderOverride, Site: "hq", Reason: "x", Until: now.Add(time.Hour)}
	flood := func(key string, from uint64) (all []Entry) {
		for i := range uint64(history) {
			all = append(all, junk(key, from+i, int(from+i)))
		}
		return all
	}
	kept := Ledger{lock: Record{Key: lock, Order: given(lock, locked, "a", 0, 0).Order}}
	for name, c := range map[string]struct {
		had, read Ledger
		want      string // the id of the order, or empty
		state     string // "lost", "doubt" or empty
	}{
		"what is new":                            {Ledger{}, ledgerOf(given(lock, locked, "a", 1, 0)), "a", ""},
		"what was lifted":                        {ledgerOf(given(lock, locked, "a", 1, 0)), ledgerOf(given(lock, locked, "a", 1, 0), lifted(lock, "a", 2, 1)), "", ""},
		"what was lifted, with its order gone":   {ledgerOf(given(lock, locked, "a", 1, 0)), ledgerOf(lifted(lock, "a", 2, 1)), "", ""},
		"a lift of another order":                {ledgerOf(given(lock, locked, "a", 1, 0)), ledgerOf(given(lock, locked, "a", 1, 0), lifted(lock, "b", 2, 1)), "a", ""},
		"a bare deletion":                        {ledgerOf(given(lock, locked, "a", 1, 0)), ledgerOf(given(lock, locked, "a", 1, 0), deletion(lock, 2, 1)), "a", ""},
		"a purge":                                {ledgerOf(given(lock, locked, "a", 1, 0)), ledgerOf(deletion(lock, 2, 1)), "a", "lost"},
		"a purge before anything was known":      {Ledger{}, ledgerOf(deletion(lock, 2, 1)), "", "doubt"},
		"a purged override":                      {ledgerOf(given(let, open, "a", 1, 0)), ledgerOf(deletion(let, 2, 1)), "", ""},
		"what is over a lockdown":                {Ledger{}, ledgerOf(given(lock, locked, "a", 1, 0), junk(lock, 2, 1)), "a", ""},
		"what pushes a lockdown out":             {ledgerOf(given(lock, locked, "a", 1, 0)), ledgerOf(flood(lock, 2)...), "a", "lost"},
		"what pushes a lift out":                 {ledgerOf(given(lock, locked, "a", 1, 0), lifted(lock, "a", 2, 1)), ledgerOf(append(flood(lock, 3)[1:], given(lock, locked, "a", 20, 20))...), "", ""},
		"what may have pushed a lockdown out":    {Ledger{}, ledgerOf(flood(lock, 2)...), "", "doubt"},
		"the same between two readings":          {ledgerOf(given(lock, locked, "a", 1, 0), lifted(lock, "a", 2, 1)), ledgerOf(flood(lock, 4)...), "", "doubt"},
		"what pushed nothing out":                {ledgerOf(junk(lock, 2, 2)), ledgerOf(flood(lock, 2)...), "", ""},
		"what pushes an override out":            {ledgerOf(given(let, open, "a", 1, 0)), ledgerOf(flood(let, 2)...), "", ""},
		"an override that was replaced, revived": {ledgerOf(given(let, open, "a", 1, 0), given(let, open, "b", 2, 1)), ledgerOf(given(let, open, "a", 9, 9)), "", ""},
		"a replacement":                          {ledgerOf(given(lock, locked, "a", 1, 0)), ledgerOf(given(lock, locked, "b", 2, 1)), "b", ""},
		"an order before the one that is gone":   {ledgerOf(given(lock, locked, "b", 2, 1)), ledgerOf(given(lock, locked, "a", 1, 0), junk(lock, 5, 5)), "b", "lost"},
		"a lockdown that is gone":                {ledgerOf(given(lock, locked, "a", 1, 0)), Ledger{}, "a", "lost"},
		"a lockdown that is gone, and over":      {ledgerOf(given(lock, ended, "a", 1, 0)), Ledger{}, "", ""},
		"an override that is gone":               {ledgerOf(given(let, open, "a", 1, 0)), Ledger{}, "", ""},
		"an older override, from a replica":      {ledgerOf(given(let, open, "a", 8, 8), lifted(let, "a", 9, 9)), ledgerOf(given(let, open, "a", 8, 8)), "", ""},
		"a lift in a bucket made again":          {ledgerOf(given(lock, locked, "a", 9, 0)), ledgerOf(lifted(lock, "a", 1, 9)), "", ""},
		"an order in a bucket made again":        {ledgerOf(given(lock, locked, "a", 9, 0)), ledgerOf(given(lock, locked, "b", 1, 9)), "b", ""},
		"a lift by a leader whose clock is slow": {ledgerOf(given(lock, locked, "a", 1, 9)), ledgerOf(lifted(lock, "a", 2, 8)), "", ""},
		"a lift of what was kept":                {kept, ledgerOf(lifted(lock, "a", 1, 5)), "", ""},
		"what was kept, and is gone":             {kept, Ledger{}, "a", "lost"},
		"what was kept, and was replaced":        {kept, ledgerOf(given(lock, locked, "b", 3, 5)), "b", ""},
	} {
		t.Run(name, func(t *testing.T) {
			after := c.had.Renewed(c.read, history, now)
			for range 2 { // the same when it is read again
				check(t, after, c.want, c.state)
				after = after.Renewed(c.read, history, now)
			}
		})
	}
}

func check(t *testing.T, l Ledger, want, state string) {
	t.Helper()
	for _, r := range l {
		got := ""
		if r.Doubt {
			got = "doubt"
		} else if r.Lost {
			got = "lost"
		}
		if r.ID() != want || got != state {
			t.Errorf("order %q, state %q, want %q, %q: %+v", r.ID(), got, want, state, r)
		}
	}
}

func TestLedger_AppliesEntriesOneByOne(t *testing.T) {
	const key = "lockdown.site.hq"
	locked := visit.Order{Kind: visit.OrderLockdown, Site: "hq"}
	l := Ledger{}
	for i, c := range []struct {
		e       Entry
		want    string
		faults  int
		invalid int
	}{
		{given(key, locked, "a", 1, 0), "a", 0, 0},
		{given(key, locked, "a", 2, 1), "a", 0, 0}, // its acknowledgement got lost
		{deletion(key, 3, 2), "a", 1, 0},
		{junk(key, 4, 3), "a", 2, 1},
		{lifted(key, "a", 5, 4), "", 0, 0},
		{given(key, locked, "a", 6, 5), "", 1, 1}, // a copy
		{given(key, locked, "b", 7, 6), "b", 0, 0},
		{lifted(key, "a", 8, 7), "b", 0, 0}, // a copy
		{given(key, locked, "c", 9, 8), "c", 0, 0},
		{given(key, locked, "b", 10, 9), "c", 1, 1}, // a copy
		{given(key, locked, "z", 10, 9), "c", 1, 1}, // known
	} {
		l = l.With(c.e)
		if r := l[key]; r.ID() != c.want || len(r.Faults) != c.faults || r.Invalid != c.invalid {
			t.Errorf("after %d: %+v", i, r)
		}
	}
	for n := range uint64(2 * maxEnded) {
		l = l.With(given(key, locked, visit.NewRequestID(), 20+n, 20+int(n)))
	}
	if r := l[key]; len(r.ended) != maxEnded {
		t.Errorf("%d ended orders are remembered", len(r.ended))
	}
	for n := range uint64(100) {
		l = l.With(junk(key, 2000+n, 2000+int(n)))
	}
	if r := l[key]; len(r.Faults) != maxFaults || r.Invalid != 100 {
		t.Errorf("%d reports of %d", len(r.Faults), r.Invalid)
	}
}

func TestLedger_LostOrderIsFoundAgain(t *testing.T) {
	locked := visit.Order{Kind: visit.OrderLockdown, Site: "hq"}
	l := ledgerOf(given("lockdown.site.hq", locked, "a", 5, 0)).Renewed(Ledger{}, history, noon)
	if len(l.Lost()) != 1 {
		t.Fatal("it is not lost")
	}
	if l = l.Renewed(ledgerOf(given("lockdown.site.hq", locked, "a", 1, 5)), history, noon); len(l.Lost()) != 0 || len(l.Orders()) != 1 {
		t.Errorf("%+v", l)
	}
}

func TestLedger_NoTwoOrdersShareAKey(t *testing.T) {
	seen := map[string]bool{}
	for _, kind := range []visit.OrderKind{visit.OrderLockdown, visit.OrderOverride} {
		for _, site := range []string{visit.AllSites, "all", "site", "All", "all-sites", "_", "-"} {
			key := Key(kind, site)
			k, s, ok := Terms(key)
			if seen[key] || !ok || k != kind || s != site {
				t.Errorf("%s %s: key %s is read as %s %s, %v", kind, site, key, k, s, ok)
			}
			seen[key] = true
		}
	}
}
