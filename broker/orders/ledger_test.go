package orders

import (
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

var noon = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

// stored is an entry of revision r, stored so many seconds after noon; o is nil
// for one that was lifted.
func stored(key string, o *visit.Order, r uint64, seconds int) entry {
	return entry{key: key, order: o, revision: r, stored: noon.Add(time.Duration(seconds) * time.Second)}
}

func ledgerOf(entries ...entry) ledger {
	l := ledger{}
	for _, e := range entries {
		l[e.key] = e
	}
	return l
}

func TestWhatHoldsOnceABucketWasRead(t *testing.T) {
	now := noon.Add(time.Hour)
	const lock, let = "lockdown.site.hq", "override.site.hq"
	locked := &visit.Order{Kind: visit.OrderLockdown, Site: "hq"}
	ended := &visit.Order{Kind: visit.OrderLockdown, Site: "hq", Until: now}
	open := &visit.Order{Kind: visit.OrderOverride, Site: "hq", Reason: "x", Until: now.Add(time.Hour)}
	for name, c := range map[string]struct {
		had, read ledger
		want      *visit.Order
		lost      bool
	}{
		"what is new":                            {ledger{}, ledgerOf(stored(lock, locked, 1, 0)), locked, false},
		"what was lifted":                        {ledgerOf(stored(lock, locked, 1, 0)), ledgerOf(stored(lock, nil, 2, 1)), nil, false},
		"a lockdown that is gone":                {ledgerOf(stored(lock, locked, 1, 0)), ledger{}, locked, true},
		"a lockdown that is gone, and over":      {ledgerOf(stored(lock, ended, 1, 0)), ledger{}, nil, false},
		"an override that is gone":               {ledgerOf(stored(let, open, 1, 0)), ledger{}, nil, false},
		"a lift that is gone":                    {ledgerOf(stored(lock, nil, 1, 0)), ledger{}, nil, false},
		"an older lift, from a replica":          {ledgerOf(stored(lock, locked, 9, 9)), ledgerOf(stored(lock, nil, 8, 8)), locked, false},
		"an older override, from a replica":      {ledgerOf(stored(let, nil, 9, 9)), ledgerOf(stored(let, open, 8, 8)), nil, false},
		"a lift in a bucket made again":          {ledgerOf(stored(lock, locked, 9, 0)), ledgerOf(stored(lock, nil, 1, 9)), nil, false},
		"a lift by a leader whose clock is slow": {ledgerOf(stored(lock, locked, 1, 9)), ledgerOf(stored(lock, nil, 2, 8)), nil, false},
		"a lift of what was kept":                {ledgerOf(entry{key: lock, order: locked}), ledgerOf(stored(lock, nil, 1, 0)), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			after := c.had.renewed(c.read, now)
			all, lost := after.orders(), after.lost()
			switch {
			case c.want == nil && len(all) != 0, c.want != nil && (len(all) != 1 || all[0] != *c.want):
				t.Errorf("after the whole: %+v", all)
			case (len(lost) == 1) != c.lost:
				t.Errorf("lost are %+v", lost)
			}
			if len(c.read) == 0 {
				return
			}
			for _, e := range c.read { // the same as a single entry
				after = c.had.with(e)
			}
			if all := after.orders(); c.want == nil && len(all) != 0 || c.want != nil && (len(all) != 1 || all[0] != *c.want) {
				t.Errorf("after the entry alone: %+v", all)
			}
		})
	}
}

func TestWhatIsLostIsFoundAgain(t *testing.T) {
	locked := &visit.Order{Kind: visit.OrderLockdown, Site: "hq"}
	l := ledgerOf(stored("lockdown.site.hq", locked, 5, 0)).renewed(ledger{}, noon)
	if len(l.lost()) != 1 {
		t.Fatal("it is not lost")
	}
	if l = l.renewed(ledgerOf(stored("lockdown.site.hq", locked, 1, 5)), noon); len(l.lost()) != 0 || len(l.orders()) != 1 {
		t.Errorf("%+v", l)
	}
}

func TestNoTwoOrdersShareAKey(t *testing.T) {
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
