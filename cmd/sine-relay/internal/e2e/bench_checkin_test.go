package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// BenchmarkCheckIn is the time to an answer with so many deciders, who answer at
// once, beside one raw NATS request with the same message, and beside one to each of
// them at once: medians, alternately. Relay, NATS and deciders share the processors.
func BenchmarkCheckIn(b *testing.B) {
	for _, n := range []int{1, 3, 8} {
		b.Run(fmt.Sprint("deciders=", n), func(b *testing.B) {
			d := newBenchCheckIn(b, n)
			var checkIn, raw, all []time.Duration
			for b.Loop() {
				checkIn = append(checkIn, timed(func() { d.ask(b) }))
				raw = append(raw, timed(func() { d.raw(b) }))
				all = append(all, timed(func() { d.rawAll(b, n) }))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(middle(checkIn), "us-check-in")
			b.ReportMetric(middle(raw), "us-raw")
			b.ReportMetric(middle(all), "us-raw-all")
			b.ReportMetric(middle(checkIn)-middle(all), "us-own")
		})
	}
}

// BenchmarkNobodyDecides is the time until a visitor learns that nobody does.
func BenchmarkNobodyDecides(b *testing.B) {
	d := newBenchCheckIn(b, 0)
	var checkIn []time.Duration
	for b.Loop() {
		checkIn = append(checkIn, timed(func() { d.ask(b) }))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(checkIn), "us-check-in")
}

// BenchmarkWaiting is how long after their budget so many visitors are answered who
// all wait at once for a decider that never replies, in milliseconds: as a handler
// beside as many plain NATS requests with the same deadline, and over HTTP beside
// a bare handler that makes such a request. Relay, NATS and callers share the
// processors.
func BenchmarkWaiting(b *testing.B) {
	const visitors, budget = 500, time.Second
	d := openBenchCheckIn(b, relay.Integration{Name: "lobby", Budget: budget, Deciders: []relay.Decider{{Name: "d0"}}}, func(*nats.Msg) {})
	bare := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { d.rawWithin(b, budget) })
	checkIn, floor := httptest.NewServer(d.relay), httptest.NewServer(bare)
	b.Cleanup(checkIn.Close)
	b.Cleanup(floor.Close)
	ways := map[string]func(){
		"check-in": func() { d.ask(b) }, "raw": func() { d.rawWithin(b, budget) },
		"check-in-http": func() { d.call(b, checkIn.URL) }, "raw-http": func() { d.call(b, floor.URL) },
	}
	together(visitors, ways["check-in-http"]) // makes the connections
	together(visitors, ways["raw-http"])
	over := map[string][]time.Duration{}
	for b.Loop() {
		for name, wait := range ways {
			for _, took := range together(visitors, wait) {
				over[name] = append(over[name], took-budget)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for name, all := range over {
		slices.Sort(all)
		for unit, i := range map[string]int{"p50": len(all) / 2, "p99": len(all) * 99 / 100, "max": len(all) - 1} {
			b.ReportMetric(all[i].Seconds()*1000, "ms-"+name+"-"+unit)
		}
	}
}

// together does something so many times at once, and returns how long each took.
func together(n int, do func()) []time.Duration {
	took := make([]time.Duration, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			took[i] = timed(do)
		})
	}
	close(start)
	all.Wait()
	return took
}

type benchCheckIn struct {
	client  http.Client
	relay   *relay.Relay
	nc      *nats.Conn
	request *nats.Msg
	body    string
}

// newBenchCheckIn has n deciders who answer at once.
func newBenchCheckIn(b *testing.B, n int) *benchCheckIn {
	in := relay.Integration{Name: "lobby"}
	for i := range n {
		in.Deciders = append(in.Deciders, relay.Decider{Name: fmt.Sprint("d", i)})
	}
	return openBenchCheckIn(b, in, func(m *nats.Msg) { m.Respond([]byte(`{"decision":"accept"}`)) })
}

// openBenchCheckIn has a decider for each of the integration's that replies so.
func openBenchCheckIn(b *testing.B, in relay.Integration, reply nats.MsgHandler) *benchCheckIn {
	server := natstest.Start(b)
	in.Keys = []relay.Key{relay.NewKey("k", testKey)}
	for _, name := range in.DeciderNames() {
		nc := server.Connect()
		if _, err := nc.Subscribe("visitors.v1.ask.lobby."+name, reply); err != nil {
			b.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	joined, err := broker.Connect(broker.Config{NATS: dial.Config{Servers: []string{server.URL()}}, Logger: log})
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
	q := visit.CheckInRequest{Source: visit.Source(body)}
	m, err := q.Message(visit.Subjects{}, "d0")
	if err != nil {
		b.Fatal(err)
	}
	return &benchCheckIn{relay: r, nc: server.Connect(), body: body, request: &nats.Msg{Subject: "visitors.v1.ask.lobby.d0", Data: m.Data}}
}

func (d *benchCheckIn) ask(b *testing.B) {
	req := httptest.NewRequest(http.MethodPost, "/sine/lobby", strings.NewReader(d.body))
	req.Header.Set("X-Sine-Auth", testKey)
	w := httptest.NewRecorder()
	d.relay.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		b.Error(w.Code)
	}
}

// call is ask by way of HTTP.
func (d *benchCheckIn) call(b *testing.B, url string) {
	req, err := http.NewRequest(http.MethodPost, url+"/sine/lobby", strings.NewReader(d.body))
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("X-Sine-Auth", testKey)
	answer, err := d.client.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		b.Error(answer.StatusCode, err)
	}
}

// rawWithin is a plain request to whom nobody replies in time.
func (d *benchCheckIn) rawWithin(b *testing.B, budget time.Duration) {
	ctx, cancel := context.WithTimeout(b.Context(), budget)
	defer cancel()
	if _, err := d.nc.RequestMsgWithContext(ctx, d.request); !errors.Is(err, context.DeadlineExceeded) {
		b.Error(err)
	}
}

func (d *benchCheckIn) raw(b *testing.B) {
	if _, err := d.nc.RequestMsg(d.request, patience); err != nil {
		b.Error(err)
	}
}

func (d *benchCheckIn) rawAll(b *testing.B, n int) {
	var asking sync.WaitGroup
	for i := range n {
		m := *d.request
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
