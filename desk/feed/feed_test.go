package feed

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/desk/doors"
	"github.com/sine-relay/sine-relay/desk/live"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/internal/promtest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

// fake is a broker whose functions a test gives; those that it does not give find nothing.
type fake struct {
	connected func() error
	records   func(fn func(visit.Record) error) error
	events    func(fn func(visit.Event) error) error
	follow    func(record func(visit.Record), event func(visit.Event), state func(error)) error
	orders    func()
}

func (f fake) Connected() error {
	if f.connected == nil {
		return nil
	}
	return f.connected()
}
func (fake) Relays(context.Context) ([]visit.Relay, error)     { return nil, nil }
func (fake) Deciders(context.Context) ([]visit.Decider, error) { return nil, nil }

func (f fake) Orders(context.Context) ([]visit.Order, error) {
	if f.orders != nil {
		f.orders()
	}
	return nil, nil
}

func (f fake) Records(_ context.Context, _, _ string, _, _ time.Time, fn func(visit.Record) error) error {
	if f.records == nil {
		return nil
	}
	return f.records(fn)
}

func (f fake) Events(_ context.Context, _ string, _, _ time.Time, fn func(visit.Event) error) error {
	if f.events == nil {
		return nil
	}
	return f.events(fn)
}

func (f fake) Follow(ctx context.Context, record func(visit.Record), event func(visit.Event), state func(error)) error {
	if f.follow == nil {
		state(nil)
	} else if err := f.follow(record, event, state); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func run(t *testing.T, b fake) (*doors.Model, *live.Log, *prometheus.Registry) {
	t.Helper()
	m, l, reg, _ := runLogging(t, b)
	return m, l, reg
}

func runLogging(t *testing.T, b fake) (*doors.Model, *live.Log, *prometheus.Registry, *logtest.Buffer) {
	t.Helper()
	logs := &logtest.Buffer{}
	m, l, reg := doors.New(visit.Subjects{}, time.Now), &live.Log{}, prometheus.NewRegistry()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { New(b, m, l, time.Now, logs.Text(), reg).Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return m, l, reg, logs
}

func requests(m *doors.Model) (sum int) {
	for _, d := range m.View(func(string) bool { return true }).Doors {
		for _, n := range d.Requests {
			sum += n
		}
	}
	return sum
}

func known(m *doors.Model) bool { return len(m.Gaps()) == 0 }

func record(id string) visit.Record {
	return visit.Record{RequestID: id, Site: "hq", Integration: "lobby", Received: time.Now(), Situation: "decided"}
}

func TestFeed_WhatHappensWhileTheDayIsReadCountsOnce(t *testing.T) {
	var follow func(visit.Record)
	m, l, _ := run(t, fake{
		follow: func(record func(visit.Record), _ func(visit.Event), state func(error)) error {
			follow = record
			record2 := visit.Record{RequestID: "before", Site: "hq", Integration: "lobby", Received: time.Now(), Situation: "decided"}
			record(record2) // before the day is read, and in it
			state(nil)
			return nil
		},
		records: func(fn func(visit.Record) error) error {
			follow(record("meanwhile"))
			for _, id := range []string{"before", "meanwhile", "old"} {
				if err := fn(record(id)); err != nil {
					return err
				}
			}
			follow(record("after"))
			return nil
		},
	})
	wait.Until(t, "the day is read", func() bool { return known(m) })
	if n := requests(m); n != 4 || l.Last() != 3 {
		t.Errorf("%d check-in requests are counted, %d were followed", n, l.Last())
	}
}

func TestFeed_ADayThatCannotBeReadIsReadAgainAndCountsOnce(t *testing.T) {
	attempts := 0
	m, _, _ := run(t, fake{records: func(fn func(visit.Record) error) error {
		attempts++
		if err := fn(record("one")); err != nil {
			return err
		}
		if attempts == 1 {
			return visit.ErrDisconnected
		}
		return fn(record("two"))
	}})
	wait.Until(t, "the day is read", func() bool { return known(m) })
	if n := requests(m); n != 2 || attempts != 2 {
		t.Errorf("%d check-in requests are counted after %d attempts", n, attempts)
	}
}

func TestFeed_SaysWhatItCannotFollow(t *testing.T) {
	m, _, reg := run(t, fake{follow: func(_ func(visit.Record), _ func(visit.Event), state func(error)) error {
		state(visit.ErrDenied)
		return nil
	}})
	wait.Until(t, "all was asked", func() bool { return len(m.Gaps()) == 2 })
	gaps := m.Gaps()
	if gaps[0].Source != doors.History || gaps[1].Source != doors.Following || promtest.Sum(t, reg, "sine_relay_desk_following") != 0 {
		t.Errorf("what is not known is %+v", gaps)
	}
}

func TestFeed_WithoutNATSItSaysSoAndGoesOn(t *testing.T) {
	var mu sync.Mutex
	away := errors.New("no servers available")
	m, _, reg, logs := runLogging(t, fake{connected: func() error { mu.Lock(); defer mu.Unlock(); return away }})
	wait.Until(t, "it says so", m.Settled)
	if gaps := m.Gaps(); len(gaps) != 1 || gaps[0].Source != doors.NATS || gaps[0].Why != "no servers available" {
		t.Errorf("what is not known is %+v", gaps)
	}
	mu.Lock()
	away = nil
	mu.Unlock()
	wait.Until(t, "it is back", func() bool { return known(m) })
	if promtest.Sum(t, reg, "sine_relay_desk_following") != 1 {
		t.Error("it does not count as following")
	}
	if text := logs.String(); strings.Count(text, "the desk cannot read") != 1 || strings.Count(text, "the desk reads again") != 1 {
		t.Errorf("the log is %s", text)
	}
}

func TestFeed_AsksAtOnceWhereItIsWanted(t *testing.T) {
	asked := make(chan struct{})
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	f := New(fake{orders: func() {
		select {
		case asked <- struct{}{}:
		case <-ctx.Done():
		}
	}}, doors.New(visit.Subjects{}, time.Now), &live.Log{}, time.Now, (&logtest.Buffer{}).Text(), prometheus.NewRegistry())
	f.interval = time.Hour
	running.Go(func() { f.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	<-asked
	f.Soon()
	select {
	case <-asked:
	case <-time.After(wait.Limit):
		t.Error("nobody is asked")
	}
}
