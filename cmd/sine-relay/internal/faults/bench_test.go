//go:build linux && faults

package faults

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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
	r := newFixture(b, layout{})
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
func (r *fixture) fill(id func(*author) string) {
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

const (
	checkInRate   = 100 // check-in requests a second
	eventRate     = 320 // as of 32 senders
	checkInRound  = 4 * time.Second
	checkInRounds = 5
)

// trouble keeps events from being stored while deciders are reached.
type trouble struct {
	name       string
	begin, end func(*fixture) error
}

var troubles = []trouble{
	{"full", func(r *fixture) error {
		return r.auditor.change(func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 })
	}, func(r *fixture) error {
		return r.auditor.change(func(c *jetstream.StreamConfig) { c.MaxMsgs = -1 })
	}},
	{"denied", func(r *fixture) error { return r.nodes[0].reload(passwords(relayPassword, "visitors.v1.event.>")) }, admitAgain},
	{"missing", func(r *fixture) error {
		err := r.nodes[0].reload(passwords(relayPassword, "$JS.API.STREAM.CREATE.>"))
		return errors.Join(err, r.auditor.delete("VISITORS"))
	}, admitAgain},
}

func admitAgain(r *fixture) error { return r.nodes[0].reload(passwords(relayPassword)) }

// BenchmarkCheckInWhileEventsFail compares the p99 of check-in requests while all is well with
// that while events fail, under the same load of events. Run it with -benchtime=1x.
func BenchmarkCheckInWhileEventsFail(b *testing.B) {
	for _, trouble := range troubles {
		b.Run(trouble.name, func(b *testing.B) {
			r := newFixture(b, layout{})
			r.answerRequests()
			stop := r.sendEvents()
			var well, failing, ratios []float64
			for b.Loop() {
				for range checkInRounds {
					w := r.measure(b)
					r.must(trouble.begin(r))
					f := r.measure(b)
					r.must(errors.Join(trouble.end(r), r.emptied()))
					well, failing, ratios = append(well, w), append(failing, f), append(ratios, f/w)
				}
			}
			stop()
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(well), "p99-ms-well")
			b.ReportMetric(median(failing), "p99-ms-failing")
			b.ReportMetric(median(ratios), "ratio")
			b.Logf("p99 in ms, well %.1f, failing %.1f", well, failing)
		})
	}
}

func median(all []float64) float64 {
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

// answerRequests is a decider that lets everybody in.
func (r *fixture) answerRequests() {
	_, err := r.auditor.nc.QueueSubscribe("visitors.v1.ask.>", "q", func(m *nats.Msg) {
		m.Respond([]byte(`{"decision":"accept"}`))
	})
	r.must(errors.Join(err, r.auditor.nc.Flush()))
}

// openLoop starts something at a rate, however long each takes, until stopped.
func openLoop(rate int, do func()) (stop func()) {
	stopped := make(chan struct{})
	var doing sync.WaitGroup
	doing.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for {
			select {
			case <-stopped:
				return
			case <-tick.C:
				doing.Go(do)
			}
		}
	})
	return func() { close(stopped); doing.Wait() }
}

func (r *fixture) sendEvents() (stop func()) {
	var mu sync.Mutex
	a := &author{rng: rand.New(rand.NewPCG(1, 1)), name: r.load.mark}
	return openLoop(eventRate, func() {
		mu.Lock()
		f := a.checkIn()
		mu.Unlock()
		r.load.post(f, r.relays[0])
	})
}

// emptied waits until a fault's consequences are over.
func (r *fixture) emptied() error {
	return await("the spool is empty", func() bool {
		m, err := r.relays[0].read()
		return err == nil && m.spool("messages") == 0
	})
}

// measure returns the p99 of one round of check-in requests, in milliseconds.
func (r *fixture) measure(b *testing.B) float64 {
	b.Helper()
	hold(500 * time.Millisecond) // until what has just changed has its effect
	var mu sync.Mutex
	var all []float64
	var failed atomic.Int64
	stop := openLoop(checkInRate, func() {
		start := time.Now()
		if err := r.ask(); err != nil {
			failed.Add(1)
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, float64(time.Since(start).Microseconds())/1000)
	})
	hold(checkInRound)
	stop()
	if failed.Load() > 0 {
		b.Errorf("%d of %d visitors were not let in", failed.Load(), len(all))
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

func (r *fixture) ask() error {
	at, _ := r.relays[0].where()
	req, err := http.NewRequest(http.MethodPost, at.webhook, strings.NewReader(`{"event":"signin_before","data":{"firstName":"Ada"}}`))
	if err != nil {
		return err
	}
	req.Header.Set("X-Sine-Auth", r.load.key)
	answer, err := r.load.client.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && !strings.Contains(string(text), "SUCCESS") {
		err = fmt.Errorf("answered %d %s", answer.StatusCode, text)
	}
	return err
}
