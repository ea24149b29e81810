package orders

import (
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

var noon = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

// given is an entry of revision r, stored so many seconds after noon.
func given(key string, o visit.Order, id string, r uint64, seconds int) entry {
	o.ID, o.Since = id, noon.Add(time.Duration(seconds)*time.Second)
	return entry{key: key, order: &o, revision: r, stored: o.Since}
}

func lifted(key, id string, r uint64, seconds int) entry {
	at := noon.Add(time.Duration(seconds) * time.Second)
	return entry{key: key, lift: &visit.Lift{Lifts: id, Since: at}, revision: r, stored: at}
}

func junk(key string, r uint64, seconds int) entry {
	return entry{key: key, revision: r, stored: noon.Add(time.Duration(seconds) * time.Second)}.read(nil, []byte("?"), 0)
}

func deletion(key string, r uint64, seconds int) entry {
	e := entry{key: key, revision: r, stored: noon.Add(time.Duration(seconds) * time.Second)}
	return e.read(map[string][]string{headerOperation: {"DEL"}}, nil, 0)
}

func ledgerOf(entries ...entry) ledger {
	l := ledger{}
	for _, e := range entries {
		l[e.key] = l[e.key].with(e)
	}
	return l
}

func TestLedger_RereadingMergesWithWhatWasKnown(t *testing.T) {
	now := noon.Add(time.Hour)
	const lock, let = "lockdown.site.hq", "override.site.hq"
	locked := visit.Order{Kind: visit.OrderLockdown, Site: "hq"}
	ended := visit.Order{Kind: visit.OrderLockdown, Site: "hq", Until: now}
	open := visit.Order{Kind: visit.OrderOverride, Site: "hq", Reason: "x", Until: now.Add(time.Hour)}
	flood := func(key string, from uint64) (all []entry) {
		for i := range uint64(history) {
			all = append(all, junk(key, from+i, int(from+i)))
		}
		return all
	}
	kept := ledger{lock: record{key: lock, order: given(lock, locked, "a", 0, 0).order}}
	for name, c := range map[string]struct {
		had, read ledger
		want      string // the id of the order, or empty
		state     string // "lost", "doubt" or empty
	}{
		"what is new":                            {ledger{}, ledgerOf(given(lock, locked, "a", 1, 0)), "a", ""},
		"what was lifted":                        {ledgerOf(given(lock, locked, "a", 1, 0)), ledgerOf(given(lock, locked, "a", 1, 0), lifted(lock, "a", 2, 1)), "", ""},
		"what was lifted, with its order gone":   {ledgerOf(given(lock, locked, "a", 1, 0)), ledgerOf(lifted(lock, "a", 2, 1)), "", ""},
		"a lift of another order":                {ledgerOf(given(lock, locked, "a", 1, 0)), ledgerOf(given(lock, locked, "a", 1, 0), lifted(lock, "b", 2, 1)), "a", ""},
		"a bare deletion":                        {ledgerOf(given(lock, locked, "a", 1, 0)), ledgerOf(given(lock, locked, "a", 1, 0), deletion(lock, 2, 1)), "a", ""},
		"a purge":                                {ledgerOf(given(lock, locked, "a", 1, 0)), ledgerOf(deletion(lock, 2, 1)), "a", "lost"},
		"a purge before anything was known":      {ledger{}, ledgerOf(deletion(lock, 2, 1)), "", "doubt"},
		"a purged override":                      {ledgerOf(given(let, open, "a", 1, 0)), ledgerOf(deletion(let, 2, 1)), "", ""},
		"what is over a lockdown":                {ledger{}, ledgerOf(given(lock, locked, "a", 1, 0), junk(lock, 2, 1)), "a", ""},
		"what pushes a lockdown out":             {ledgerOf(given(lock, locked, "a", 1, 0)), ledgerOf(flood(lock, 2)...), "a", "lost"},
		"what pushes a lift out":                 {ledgerOf(given(lock, locked, "a", 1, 0), lifted(lock, "a", 2, 1)), ledgerOf(append(flood(lock, 3)[1:], given(lock, locked, "a", 20, 20))...), "", ""},
		"what may have pushed a lockdown out":    {ledger{}, ledgerOf(flood(lock, 2)...), "", "doubt"},
		"the same between two readings":          {ledgerOf(given(lock, locked, "a", 1, 0), lifted(lock, "a", 2, 1)), ledgerOf(flood(lock, 4)...), "", "doubt"},
		"what pushed nothing out":                {ledgerOf(junk(lock, 2, 2)), ledgerOf(flood(lock, 2)...), "", ""},
		"what pushes an override out":            {ledgerOf(given(let, open, "a", 1, 0)), ledgerOf(flood(let, 2)...), "", ""},
		"an override that was replaced, revived": {ledgerOf(given(let, open, "a", 1, 0), given(let, open, "b", 2, 1)), ledgerOf(given(let, open, "a", 9, 9)), "", ""},
		"a replacement":                          {ledgerOf(given(lock, locked, "a", 1, 0)), ledgerOf(given(lock, locked, "b", 2, 1)), "b", ""},
		"an order before the one that is gone":   {ledgerOf(given(lock, locked, "b", 2, 1)), ledgerOf(given(lock, locked, "a", 1, 0), junk(lock, 5, 5)), "b", "lost"},
		"a lockdown that is gone":                {ledgerOf(given(lock, locked, "a", 1, 0)), ledger{}, "a", "lost"},
		"a lockdown that is gone, and over":      {ledgerOf(given(lock, ended, "a", 1, 0)), ledger{}, "", ""},
		"an override that is gone":               {ledgerOf(given(let, open, "a", 1, 0)), ledger{}, "", ""},
		"an older override, from a replica":      {ledgerOf(given(let, open, "a", 8, 8), lifted(let, "a", 9, 9)), ledgerOf(given(let, open, "a", 8, 8)), "", ""},
		"a lift in a bucket made again":          {ledgerOf(given(lock, locked, "a", 9, 0)), ledgerOf(lifted(lock, "a", 1, 9)), "", ""},
		"an order in a bucket made again":        {ledgerOf(given(lock, locked, "a", 9, 0)), ledgerOf(given(lock, locked, "b", 1, 9)), "b", ""},
		"a lift by a leader whose clock is slow": {ledgerOf(given(lock, locked, "a", 1, 9)), ledgerOf(lifted(lock, "a", 2, 8)), "", ""},
		"a lift of what was kept":                {kept, ledgerOf(lifted(lock, "a", 1, 5)), "", ""},
		"what was kept, and is gone":             {kept, ledger{}, "a", "lost"},
		"what was kept, and was replaced":        {kept, ledgerOf(given(lock, locked, "b", 3, 5)), "b", ""},
	} {
		t.Run(name, func(t *testing.T) {
			after := c.had.renewed(c.read, history, now)
			for range 2 { // the same when it is read again
				check(t, after, c.want, c.state)
				after = after.renewed(c.read, history, now)
			}
		})
	}
}

func check(t *testing.T, l ledger, want, state string) {
	t.Helper()
	for _, r := range l {
		got := ""
		if r.doubt {
			got = "doubt"
		} else if r.lost {
			got = "lost"
		}
		if r.id() != want || got != state {
			t.Errorf("order %q, state %q, want %q, %q: %+v", r.id(), got, want, state, r)
		}
	}
}

func TestLedger_AppliesEntriesOneByOne(t *testing.T) {
	const key = "lockdown.site.hq"
	locked := visit.Order{Kind: visit.OrderLockdown, Site: "hq"}
	l := ledger{}
	for i, c := range []struct {
		e       entry
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
		l = l.with(c.e)
		if r := l[key]; r.id() != c.want || len(r.faults) != c.faults || r.invalid != c.invalid {
			t.Errorf("after %d: %+v", i, r)
		}
	}
	for n := range uint64(2 * maxEnded) {
		l = l.with(given(key, locked, visit.NewRequestID(), 20+n, 20+int(n)))
	}
	if r := l[key]; len(r.ended) != maxEnded {
		t.Errorf("%d ended orders are remembered", len(r.ended))
	}
	for n := range uint64(100) {
		l = l.with(junk(key, 2000+n, 2000+int(n)))
	}
	if r := l[key]; len(r.faults) != maxFaults || r.invalid != 100 {
		t.Errorf("%d reports of %d", len(r.faults), r.invalid)
	}
}

func TestLedger_LostOrderIsFoundAgain(t *testing.T) {
	locked := visit.Order{Kind: visit.OrderLockdown, Site: "hq"}
	l := ledgerOf(given("lockdown.site.hq", locked, "a", 5, 0)).renewed(ledger{}, history, noon)
	if len(l.lost()) != 1 {
		t.Fatal("it is not lost")
	}
	if l = l.renewed(ledgerOf(given("lockdown.site.hq", locked, "a", 1, 5)), history, noon); len(l.lost()) != 0 || len(l.orders()) != 1 {
		t.Errorf("%+v", l)
	}
}

func TestLedger_NoTwoOrdersShareAKey(t *testing.T) {
	seen := map[string]bool{}
	for _, kind := range []visit.OrderKind{visit.OrderLockdown, visit.OrderOverride} {
		for _, site := range []string{visit.AllSites, "all", "site", "All", "all-sites", "_", "-"} {
			key := keyOf(kind, site)
			k, s, ok := termsOf(key)
			if seen[key] || !ok || k != kind || s != site {
				t.Errorf("%s %s: key %s is read as %s %s, %v", kind, site, key, k, s, ok)
			}
			seen[key] = true
		}
	}
}
