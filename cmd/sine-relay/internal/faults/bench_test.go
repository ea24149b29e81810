//go:build linux && faults

package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Benchmarks say something on a machine that does nothing else; see .ci/faults.

// drained is how many events wait in the spool when NATS comes back.
const drained = 10_000

// BenchmarkDrain is from NATS accepting connections to the spool being empty:
// where every event is of another visit, and where Sine names none, so that all
// have to keep one order.
func BenchmarkDrain(b *testing.B) {
	for name, id := range map[string]func(*author) string{
		"visits":      (*author).next,
		"integration": func(*author) string { return "" },
	} {
		b.Run(name, func(b *testing.B) {
			var all []float64
			for b.Loop() {
				b.StopTimer()
				all = append(all, drainOnce(b, id).Seconds())
				b.StartTimer()
			}
			slices.Sort(all)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(all[len(all)/2], "s")
			b.ReportMetric(drained/all[len(all)/2], "messages/s")
		})
	}
}

func drainOnce(b *testing.B, id func(*author) string) time.Duration {
	b.Helper()
	r := newRig(b, layout{})
	n, one := r.nodes[0], r.relays[0]
	n.process.kill()
	r.fill(id)
	r.must(n.start())
	accepted := time.Now()
	r.must(await("the spool is empty", func() bool {
		m, err := one.read()
		return err == nil && m.spool("messages") == 0
	}))
	took := time.Since(accepted)
	v := r.audit()
	if !v.clean() || v.stored != drained {
		b.Fatalf("%d are stored: %q", v.stored, v.notes)
	}
	return took
}

// fill has many clients send events that go to the spool.
func (r *rig) fill(id func(*author) string) {
	const clients = 50
	var filling sync.WaitGroup
	for i := range clients {
		a := &author{rng: rand.New(rand.NewPCG(1, uint64(i))), name: fmt.Sprintf("%s-%d", r.load.mark, i)}
		filling.Go(func() {
			for range drained / clients {
				r.load.post(a.event(visit.KindCheckedOut, id(a)), r.relays[0])
			}
		})
	}
	filling.Wait()
	if kept := r.load.answered.Load(); kept != drained {
		r.t.Fatalf("%d of %d were spooled", kept, drained)
	}
}
