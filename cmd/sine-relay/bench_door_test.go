package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/brokertest"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// BenchmarkDoor is the time to an answer with so many deciders, who answer at
// once, beside one raw NATS request with the same message, and beside one to each of
// them at once: medians, alternately. Relay, NATS and deciders share the processors.
func BenchmarkDoor(b *testing.B) {
	for _, n := range []int{1, 3, 8} {
		b.Run(fmt.Sprint("deciders=", n), func(b *testing.B) {
			d := newBenchDoor(b, n)
			var door, raw, all []time.Duration
			for b.Loop() {
				door = append(door, timed(func() { d.ask(b) }))
				raw = append(raw, timed(func() { d.raw(b) }))
				all = append(all, timed(func() { d.rawAll(b, n) }))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(middle(door), "us-door")
			b.ReportMetric(middle(raw), "us-raw")
			b.ReportMetric(middle(all), "us-raw-all")
			b.ReportMetric(middle(door)-middle(all), "us-own")
		})
	}
}

// BenchmarkNobodyDecides is the time until a visitor is told that nobody does.
func BenchmarkNobodyDecides(b *testing.B) {
	d := newBenchDoor(b, 0)
	var door []time.Duration
	for b.Loop() {
		door = append(door, timed(func() { d.ask(b) }))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(door), "us-door")
}

type benchDoor struct {
	relay    *relay.Relay
	nc       *nats.Conn
	question *nats.Msg
	body     string
}

func newBenchDoor(b *testing.B, n int) *benchDoor {
	server := brokertest.Start(b)
	in := relay.Integration{Name: "lobby", Keys: []relay.Key{relay.NewKey("k", testKey)}}
	for i := range n {
		name := fmt.Sprint("d", i)
		in.Deciders = append(in.Deciders, relay.Decider{Name: name})
		nc := server.Connect()
		if _, err := nc.Subscribe("visitors.v1.ask.lobby."+name, func(m *nats.Msg) { m.Respond([]byte(`{"decision":"accept"}`)) }); err != nil {
			b.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	joined, err := broker.Connect(broker.Config{Servers: []string{server.URL()}, Logger: log})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { joined.Close(b.Context()) })
	eventually(b, "the streams are verified", func() bool { return joined.Status().Verified })
	r, err := relay.New(relay.Config{
		Integrations: []relay.Integration{in}, Asker: joined, Publisher: joined, Orders: joined,
		Logger: log, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		b.Fatal(err)
	}
	body := strings.ReplaceAll(string(benchAsk), string(benchMark), "12345678")
	q := visit.Request{Source: visit.Source(body)}
	m, err := q.Message(visit.Subjects{}, "d0")
	if err != nil {
		b.Fatal(err)
	}
	return &benchDoor{relay: r, nc: server.Connect(), body: body, question: &nats.Msg{Subject: "visitors.v1.ask.lobby.d0", Data: m.Data}}
}

func (d *benchDoor) ask(b *testing.B) {
	req := httptest.NewRequest(http.MethodPost, "/sine/lobby", strings.NewReader(d.body))
	req.Header.Set("X-Sine-Auth", testKey)
	w := httptest.NewRecorder()
	d.relay.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		b.Fatal(w.Code)
	}
}

func (d *benchDoor) raw(b *testing.B) {
	if _, err := d.nc.RequestMsg(d.question, patience); err != nil {
		b.Error(err)
	}
}

func (d *benchDoor) rawAll(b *testing.B, n int) {
	var asking sync.WaitGroup
	for i := range n {
		m := *d.question
		m.Subject = fmt.Sprint("visitors.v1.ask.lobby.d", i)
		asking.Go(func() {
			if _, err := d.nc.RequestMsg(&m, patience); err != nil {
				b.Error(err)
			}
		})
	}
	asking.Wait()
}

func timed(do func()) time.Duration {
	start := time.Now()
	do()
	return time.Since(start)
}

// middle is the median in microseconds.
func middle(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2].Nanoseconds()) / 1000
}
