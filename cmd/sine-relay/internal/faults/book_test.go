//go:build linux && faults

package faults

// book is what a relay counted in one of its lives, read while nothing was in
// flight.
type book struct {
	relay, life int
	metrics     metrics
}

var results = []string{"stored", "duplicate", "spooled", "quarantined", "refused"}

// balanced reports whether everything that came in has an end in the ledger.
func (m metrics) balanced() bool {
	sum := 0
	for _, result := range results {
		sum += m.settled(result)
	}
	return sum == m.received() && m.spool("recovered_total")+m.spool("spooled_total") ==
		m.spool("forwarded_total")+m.spool("quarantined_total")+m.spool("messages")
}

// judge compares a ledger with itself and with what the senders were told.
func (b book) judge(v *verdict, calls []*call) {
	m := b.metrics
	if !m.balanced() {
		v.fault(&v.ledger, "relay %d in life %d: %d received; %v settled; spool: %d recovered, %d spooled, %d drained, %d set aside, %d wait",
			b.relay, b.life, m.received(), m.bySettlement(), m.spool("recovered_total"), m.spool("spooled_total"),
			m.spool("forwarded_total"), m.spool("quarantined_total"), m.spool("messages"))
	}
	t := b.tell(calls)
	check := func(what string, answers, counted int) {
		// A call that brought no answer may be counted as anything.
		if counted < answers || counted > answers+t.unknown {
			v.fault(&v.ledger, "relay %d in life %d: %d answers and %d without any, but the ledger says %d %s", b.relay, b.life, answers, t.unknown, counted, what)
		}
	}
	check("events kept", t.events, m.settled("stored")+m.settled("duplicate")+m.settled("spooled"))
	check("quarantined", t.unreadable, m.settled("quarantined"))
	check("refused", t.refused, m.settled("refused"))
}

func (m metrics) bySettlement() map[string]int {
	all := map[string]int{}
	for _, result := range results {
		all[result] = m.settled(result)
	}
	return all
}

// tally is what the senders of one life's calls were told.
type tally struct{ events, unreadable, refused, unknown int }

func (b book) tell(calls []*call) tally {
	var t tally
	for _, c := range calls {
		switch {
		case c.relay != b.relay || c.life != b.life:
		case c.err != nil:
			t.unknown++
		case c.refused():
			t.refused++
		case c.kept() && c.isEvent():
			t.events++
		case c.kept(), c.cutOff():
			t.unreadable++
		}
	}
	return t
}
