//go:build linux && faults

package faults

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// At the end of a day everybody leaves at once, and a cluster's leader dies in
// the middle of it.
func TestABurstOfCheckOutsWhileALeaderIsKilled(t *testing.T) {
	const name, checkOuts, lasting = "5000 check-outs, a leader is killed", 5000, 10 * time.Second
	r := newRig(t, layout{nodes: 3})
	a := &author{rng: rand.New(rand.NewPCG(1, 1)), name: r.load.mark}
	var bodies []*event
	for range checkOuts {
		bodies = append(bodies, a.event(visit.KindCheckedOut, a.next()))
	}
	leader, err := r.leader()
	r.must(err)

	tick := time.NewTicker(lasting / checkOuts)
	defer tick.Stop()
	var calling sync.WaitGroup
	for i, f := range bodies {
		<-tick.C
		calling.Go(func() { r.load.post(f, r.relays[0]) })
		if i == checkOuts/2 {
			calling.Go(func() { r.report(leader.die(4 * time.Second)) })
		}
	}
	calling.Wait()
	v := r.audit()
	closing.add(name, v)
	closing.note(fmt.Sprintf("%s: %d of %d kept, longest wait %d ms", name, v.kept, v.sent, v.longest.Milliseconds()))
	r.demand(v)
	r.demandNoRefusals(v)
	if v.sent != checkOuts || v.stored != v.kept {
		t.Errorf("%d were sent, %d answered 200, %d are stored", v.sent, v.kept, v.stored)
	}
}
