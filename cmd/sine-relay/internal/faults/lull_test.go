//go:build linux && faults

package faults

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// waitBound is ten times the relay's budget, and backBound ten times the second
// within which it should publish again.
const (
	waitBound = 20 * time.Second
	backBound = 10 * time.Second
)

// While NATS is away for two seconds under 32 senders, nobody is refused or kept
// waiting. A bare handler goes through the same beside it, to compare.
func TestNATSIsAwayForTwoSecondsUnder32Senders(t *testing.T) {
	const name, senders, pace = "away for 2 s under 32 senders", 32, 100 * time.Millisecond
	r := newRig(t, layout{senders: senders})
	r.load.interval = pace
	b := startBare(t, r)
	var calling sync.WaitGroup
	for range senders {
		calling.Go(func() { b.send(pace, r.load.stopped) })
	}
	var accepted time.Time
	var back time.Duration
	v := r.play(1, func() {
		n := r.nodes[0]
		n.process.kill()
		hold(2 * time.Second)
		stored := make(chan time.Time, 1)
		go func() { stored <- r.firstStored() }()
		r.report(n.start())
		accepted = time.Now()
		back = (<-stored).Sub(accepted)
		hold(4 * time.Second) // the bare handler takes its time
	})
	calling.Wait()
	closing.add(name, v)
	closing.note(fmt.Sprintf("%s: the relay refused %d of %d, longest wait %d ms, published again %d ms after NATS accepted connections",
		name, v.refused, v.sent, v.longest.Milliseconds(), back.Milliseconds()))
	closing.note(fmt.Sprintf("%s: a bare handler: %s", name, b.report(accepted)))
	r.demand(v)
	r.demandNoRefusals(v)
	if v.longest > waitBound || back > backBound {
		t.Errorf("the longest wait was %s, and it took %s to publish again", v.longest, back)
	}
}

// firstStored returns when the relay next stores something in the stream.
func (r *rig) firstStored() time.Time {
	from := -1
	r.report(await("something is stored", func() bool {
		m, err := r.relays[0].read()
		if err == nil && from < 0 {
			from = m.settled("stored")
		}
		return err == nil && m.settled("stored") > from
	}))
	return time.Now()
}
