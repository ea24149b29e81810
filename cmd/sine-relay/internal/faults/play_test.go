//go:build linux && faults

package faults

import (
	"fmt"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	// warmUp calls are answered before anything goes wrong, and recovery of
	// each relay's go straight to the stream afterwards.
	warmUp   = 100
	recovery = 10
)

// play has senders call while something goes wrong, and audits.
func (r *rig) play(seed uint64, wrong func()) *verdict {
	r.t.Helper()
	r.load.start(r.senders, seed)
	defer r.load.stop()
	r.must(await("calls are answered", func() bool { return r.load.answered.Load() > warmUp }))
	wrong()
	for _, one := range r.relays {
		r.report(r.recovered(one))
	}
	r.load.stop()
	return r.audit()
}

// recovered waits until a relay stores straight in the stream again.
func (r *rig) recovered(one *relay) error {
	from := -1
	return await(fmt.Sprintf("relay %d stores in the stream again", one.number), func() bool {
		m, err := one.read()
		if err != nil {
			return !one.process.running() // a fault's end
		}
		if from < 0 {
			from = m.settled("stored")
		}
		return m.settled("stored") >= from+recovery
	})
}

// audit waits until nothing is on its way any more, and judges.
func (r *rig) audit() *verdict {
	r.t.Helper()
	e := &evidence{calls: r.load.record(), excused: r.excuses()}
	for _, one := range r.relays {
		if one.process.running() {
			e.books = append(e.books, r.close(one))
		}
	}
	var err error
	e.events, err = r.auditor.messages(visit.DefaultEventStream)
	r.must(err)
	e.quarantine, err = r.auditor.messages(visit.DefaultQuarantineStream)
	r.must(err)
	v := e.judge()
	v.spooled = r.spooled()
	for _, problem := range r.problems {
		v.fault(&v.strange, "%v", problem)
	}
	return v
}

// close reads a relay's ledger once its spool is empty and nothing is in
// flight. What does not come to rest is left to the judgement.
func (r *rig) close(one *relay) book {
	_, life := one.where()
	b := book{relay: one.number, life: life}
	read := func(at func(metrics) bool) func() bool {
		return func() bool {
			m, err := one.read()
			if err == nil {
				b.metrics = m
			}
			return err == nil && at(m)
		}
	}
	r.report(await(fmt.Sprintf("relay %d has an empty spool", one.number), read(func(m metrics) bool { return m.spool("messages") == 0 })))
	// This gives it time; whether it balances is judged.
	_ = awaitFor(patience/10, "", read(metrics.balanced))
	return b
}

// spooled is how many events went into a spool, as far as the relays lived to
// tell.
func (r *rig) spooled() int {
	sum := 0
	for _, one := range r.relays {
		for _, m := range one.known {
			sum += m.settled("spooled")
		}
	}
	return sum
}

// logs are the ends of what everybody printed.
func (r *rig) logs(lines int) string {
	var all string
	for _, n := range r.nodes {
		all += fmt.Sprintf("-- %s\n%s\n", n.name, n.out.tail(lines))
	}
	for _, one := range r.relays {
		all += fmt.Sprintf("-- relay %d\n%s\n", one.number, one.out.tail(lines))
	}
	return all
}

// seconds makes durations short to write.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
