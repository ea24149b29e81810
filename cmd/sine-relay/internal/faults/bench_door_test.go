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
)

const (
	doorRate   = 100 // check-in requests a second
	eventRate  = 320 // as of 32 senders
	doorRound  = 4 * time.Second
	doorRounds = 5
)

// trouble keeps events from being stored while deciders are reached.
type trouble struct {
	name       string
	begin, end func(*rig) error
}

var troubles = []trouble{
	{"full", func(r *rig) error {
		return r.auditor.change(func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 })
	}, func(r *rig) error {
		return r.auditor.change(func(c *jetstream.StreamConfig) { c.MaxMsgs = -1 })
	}},
	{"denied", func(r *rig) error { return r.nodes[0].reload(passwords(relayPassword, "visitors.v1.event.>")) }, admitAgain},
	{"missing", func(r *rig) error {
		err := r.nodes[0].reload(passwords(relayPassword, "$JS.API.STREAM.CREATE.>"))
		return errors.Join(err, r.auditor.delete("VISITORS"))
	}, admitAgain},
}

func admitAgain(r *rig) error { return r.nodes[0].reload(passwords(relayPassword)) }

// BenchmarkDoorWhileEventsFail compares the door's p99 while all is well with
// that while events fail, under the same load of events. Run it with -benchtime=1x.
func BenchmarkDoorWhileEventsFail(b *testing.B) {
	for _, trouble := range troubles {
		b.Run(trouble.name, func(b *testing.B) {
			r := newRig(b, layout{})
			r.answerQuestions()
			stop := r.sendEvents()
			var well, failing, ratios []float64
			for b.Loop() {
				for range doorRounds {
					w := r.door(b)
					r.must(trouble.begin(r))
					f := r.door(b)
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

// answerQuestions is a decider that lets everybody in.
func (r *rig) answerQuestions() {
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

func (r *rig) sendEvents() (stop func()) {
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
func (r *rig) emptied() error {
	return await("the spool is empty", func() bool {
		m, err := r.relays[0].read()
		return err == nil && m.spool("messages") == 0
	})
}

// door is the p99 of one round of check-in requests, in milliseconds.
func (r *rig) door(b *testing.B) float64 {
	b.Helper()
	hold(500 * time.Millisecond) // until what has just changed has its effect
	var mu sync.Mutex
	var all []float64
	var failed atomic.Int64
	stop := openLoop(doorRate, func() {
		start := time.Now()
		if err := r.askDoor(); err != nil {
			failed.Add(1)
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, float64(time.Since(start).Microseconds())/1000)
	})
	hold(doorRound)
	stop()
	if failed.Load() > 0 {
		b.Errorf("%d of %d visitors were not let in", failed.Load(), len(all))
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

func (r *rig) askDoor() error {
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
