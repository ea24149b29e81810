//go:build linux && faults

package faults

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

// fabricated is the evidence of a flawless run: three visits, a pass that was
// sent twice, and a body for the quarantine.
func fabricated(t *testing.T) *evidence {
	t.Helper()
	a := &author{rng: rand.New(rand.NewPCG(1, 2)), name: "made-up"}
	e := &evidence{}
	clock := time.Now()
	tell := func(f *event) *call {
		c := &call{event: f, relay: 1, life: 1, start: clock, end: clock.Add(time.Millisecond), status: http.StatusOK, eventID: f.id, requestID: visit.NewRequestID()}
		clock = clock.Add(2 * time.Millisecond)
		e.calls = append(e.calls, c)
		return c
	}
	for range 3 {
		in := a.checkIn()
		tell(in)
		tell(a.checkOut(in))
	}
	pass := a.pass()
	tell(pass)
	for i, c := range e.calls {
		e.events = append(e.events, eventOf(t, c, uint64(i+1)))
	}
	tell(pass)
	c := tell(a.nonsense())
	q := visit.Quarantined{RequestID: c.requestID, Site: "default", Integration: "default", Reason: visit.ReasonNotJSON, Body: c.body}
	m := q.Message(visit.Subjects{})
	e.quarantine = []message{{1, m.Subject, nats.Header(m.Header), m.Data}}
	e.books = []book{{relay: 1, life: 1, metrics: parseMetrics(strings.NewReader(`
sine_relay_events_received_total{integration="default"} 9
sine_relay_events_settled_total{integration="default",result="stored"} 5
sine_relay_events_settled_total{integration="default",result="spooled"} 2
sine_relay_events_settled_total{integration="default",result="duplicate"} 1
sine_relay_events_settled_total{integration="default",result="quarantined"} 1
sine_relay_spool_recovered_total 3
sine_relay_spool_spooled_total 2
sine_relay_spool_forwarded_total 5
`))}}
	return e
}

func eventOf(t *testing.T, c *call, sequence uint64) message {
	t.Helper()
	event := visit.Event{
		ID: c.id, Kind: c.kind, Source: c.body,
		Origin: visit.Origin{RequestID: c.requestID, Site: "default", Integration: "default", Visit: visit.NewVisitKey(c.visit)},
	}
	m, err := event.Message(visit.Subjects{})
	if err != nil {
		t.Fatal(err)
	}
	return message{sequence, m.Subject, nats.Header(m.Header), m.Data}
}

func TestAudit_FindsEveryDiscrepancy(t *testing.T) {
	for _, c := range []struct {
		name   string
		tamper func(*evidence)
		want   verdict
	}{
		{"nothing where nothing is wrong", func(*evidence) {}, verdict{}},
		{"a missing event", func(e *evidence) { e.events = slices.Delete(e.events, 6, 7) }, verdict{missing: 1}},
		{"a missing body that could not be read", func(e *evidence) { e.quarantine = nil }, verdict{missing: 1}},
		{"an event that is stored twice", func(e *evidence) {
			again := e.events[2]
			again.sequence = 99
			e.events = append(e.events, again)
		}, verdict{twice: 1}},
		{"a byte of white space that is gone", func(e *evidence) {
			e.calls[0].body = append(slices.Clone(e.calls[0].body), ' ')
		}, verdict{altered: 1}},
		{"a body in the quarantine that is another", func(e *evidence) { e.quarantine[0].data = []byte("visitor=") }, verdict{altered: 1}},
		{"an event of another visit", func(e *evidence) { e.calls[0].event.visit, e.calls[1].event.visit = "x", "x" }, verdict{altered: 2}},
		{"a check-out before its check-in", func(e *evidence) {
			e.events[0].sequence, e.events[1].sequence = e.events[1].sequence, e.events[0].sequence
		}, verdict{inverted: 1}},
		{"no inversion where a relay was asked that knew nothing", func(e *evidence) {
			e.events[0].sequence, e.events[1].sequence = e.events[1].sequence, e.events[0].sequence
			e.calls[1].relay = 2
			e.books = nil
		}, verdict{}},
		{"no inversion where the check-in was not answered yet", func(e *evidence) {
			e.events[0].sequence, e.events[1].sequence = e.events[1].sequence, e.events[0].sequence
			e.calls[0].end = e.calls[1].end
		}, verdict{}},
		{"an event that nobody sent", func(e *evidence) { e.calls, e.books = e.calls[2:], nil }, verdict{strange: 2}},
		{"a body in the quarantine that nobody sent", func(e *evidence) { e.calls, e.books = e.calls[:8], nil }, verdict{strange: 1}},
		{"an event that was set aside", func(e *evidence) {
			e.quarantine[0].header[visit.HeaderReason] = []string{string(visit.ReasonRefused)}
		}, verdict{strange: 1}},
		{"an answer with another event's id", func(e *evidence) { e.calls[0].eventID = e.calls[1].id }, verdict{strange: 1}},
		{"an answer that nobody should get", func(e *evidence) { e.calls[0].status, e.books = http.StatusInternalServerError, nil }, verdict{strange: 1}},
		{"nothing in what was refused, stored or not", func(e *evidence) {
			e.calls[6].status, e.calls[7].status, e.books = http.StatusServiceUnavailable, http.StatusServiceUnavailable, nil
		}, verdict{}},
		{"nothing in a body that was cut off, and said to be", func(e *evidence) {
			c := e.calls[8]
			c.status, c.end = http.StatusRequestTimeout, c.start.Add(2*time.Second)
			e.quarantine[0].data = c.body[:5]
		}, verdict{}},
		{"a body that was cut off at once", func(e *evidence) { e.calls[8].status, e.books = http.StatusRequestTimeout, nil }, verdict{strange: 1}},
		{"a body that was cut off and is another", func(e *evidence) {
			c := e.calls[8]
			c.status, c.end = http.StatusRequestTimeout, c.start.Add(2*time.Second)
			e.quarantine[0].data = []byte("else")
		}, verdict{strange: 1}},
		{"nothing in what was not answered", func(e *evidence) {
			e.calls[5].err, e.events, e.books = errors.New("killed"), slices.Delete(e.events, 5, 6), nil
		}, verdict{}},
		{"an event that came in and has no end", func(e *evidence) {
			e.books[0].metrics[`sine_relay_events_received_total{integration="default"}`]++
		}, verdict{ledger: 1}},
		{"a spool that does not balance", func(e *evidence) { e.books[0].metrics["sine_relay_spool_forwarded_total"]-- }, verdict{ledger: 1}},
		{"a ledger that counts fewer than were answered", func(e *evidence) {
			e.books[0].metrics[`sine_relay_events_received_total{integration="default"}`]--
			e.books[0].metrics[`sine_relay_events_settled_total{integration="default",result="stored"}`]--
		}, verdict{ledger: 1}},
		{"a refusal that was answered 200", func(e *evidence) {
			e.books[0].metrics[`sine_relay_events_settled_total{integration="default",result="quarantined"}`]--
			e.books[0].metrics[`sine_relay_events_settled_total{integration="default",result="refused"}`]++
		}, verdict{ledger: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := fabricated(t)
			c.tamper(e)
			if got := e.judge(); got.faults() != c.want.faults() {
				t.Errorf("got %v, want %v: %q", got.faults(), c.want.faults(), got.notes)
			}
		})
	}
}

func TestAudit_ExcusesOnlyWhatAFaultDestroyed(t *testing.T) {
	for _, c := range []struct {
		name   string
		excuse func(*evidence) excuse
		want   verdict
	}{
		{"what a fault destroyed", func(e *evidence) excuse {
			return excuse{ids: []string{e.calls[0].id, e.calls[1].id}, most: 2, until: time.Now().Add(time.Hour)}
		}, verdict{}},
		{"no more than it may have", func(e *evidence) excuse {
			return excuse{ids: []string{e.calls[0].id, e.calls[1].id}, most: 1, until: time.Now().Add(time.Hour)}
		}, verdict{missing: 1}},
		{"nothing else", func(e *evidence) excuse {
			return excuse{ids: []string{e.calls[2].id, e.calls[1].id}, most: 2, until: time.Now().Add(time.Hour)}
		}, verdict{missing: 1}},
		{"nothing that was sent again after it", func(e *evidence) excuse {
			return excuse{ids: []string{e.calls[0].id, e.calls[1].id}, most: 2, until: e.calls[1].start}
		}, verdict{missing: 1}},
		{"what was being sent meanwhile", func(e *evidence) excuse {
			return excuse{ids: []string{e.calls[0].id}, most: 1, from: e.calls[1].start, until: e.calls[1].end}
		}, verdict{}},
		{"nothing that only may have come again", func(e *evidence) excuse {
			return excuse{ids: []string{e.calls[0].id}, reordered: true, from: e.calls[1].start, until: e.calls[1].end}
		}, verdict{missing: 2}},
		{"nothing that was answered before", func(e *evidence) excuse {
			return excuse{from: e.calls[1].start, until: e.calls[1].end}
		}, verdict{missing: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := fabricated(t)
			e.excused = []excuse{c.excuse(e)}
			e.events = e.events[2:]
			if got := e.judge(); got.faults() != c.want.faults() {
				t.Errorf("got %v, want %v: %q", got.faults(), c.want.faults(), got.notes)
			}
		})
	}
}

// Of three that waited, one fault destroyed the last, and a second one the others,
// which had been saved from the first.
func TestAudit_ExcusesWhatTwoFaultsDestroyed(t *testing.T) {
	for most, missing := range map[int]int{1: 0, 0: 1} {
		e := fabricated(t)
		until := time.Now().Add(time.Hour)
		e.excused = []excuse{
			{ids: []string{e.calls[0].id, e.calls[1].id, e.calls[2].id}, most: most, until: until},
			{ids: []string{e.calls[0].id, e.calls[1].id}, most: 2, until: until},
		}
		e.events = e.events[3:]
		if got, want := e.judge(), (&verdict{missing: missing}); got.faults() != want.faults() {
			t.Errorf("at most %d: got %v, want %v: %q", most, got.faults(), want.faults(), got.notes)
		}
	}
}

// A check-in that was destroyed and comes again, behind its check-out, is no
// inversion.
func TestAudit_ExcusesTheOrderOfDestroyedEvents(t *testing.T) {
	for _, destroyed := range []func(*evidence) excuse{
		func(e *evidence) excuse { return excuse{ids: []string{e.calls[0].id}, most: 1} },
		func(e *evidence) excuse { return excuse{from: e.calls[0].start, until: e.calls[0].end} },
		func(e *evidence) excuse { return excuse{ids: []string{e.calls[0].id}, reordered: true} },
	} {
		e := fabricated(t)
		e.events[0].sequence, e.events[1].sequence = e.events[1].sequence, e.events[0].sequence
		e.excused = []excuse{destroyed(e)}
		if v := e.judge(); !v.clean() {
			t.Errorf("%q", v.notes)
		}
	}
}

// faults are the counts that should be zero.
func (v *verdict) faults() [6]int {
	return [6]int{v.missing, v.twice, v.altered, v.inverted, v.strange, v.ledger}
}

// Without what the relay keeps, an emptied store shows: the fault destroys something.
func TestAudit_FindsWhatNATSLost(t *testing.T) {
	t.Parallel()
	r := newFixture(t, layout{settings: []string{"NATS_SYNC_INTERVAL=0s"}})
	v := r.run(1, func() { r.report(storeEmptied(r, seconds(0.2), 0)) })
	if v.missing < warmUp/2 {
		t.Errorf("%d of %d are missing: %q", v.missing, v.kept, v.notes)
	}
}

// What is done to a real stream behind everybody's back shows too.
func TestAudit_FindsChangesToARealStream(t *testing.T) {
	t.Parallel()
	r := newFixture(t, layout{})
	r.load.start(r.senders, 1)
	r.must(r.more(warmUp))
	r.load.stop()
	if v := r.audit(); !v.clean() || v.stored < warmUp/2 {
		t.Fatalf("%d are stored: %q", v.stored, v.notes)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := r.auditor.js.Stream(ctx, visit.DefaultEventStream)
	r.must(err)
	all, err := r.auditor.messages(visit.DefaultEventStream)
	r.must(errors.Join(err, stream.DeleteMsg(ctx, all[0].sequence)))
	again := all[1]
	again.header.Set(visit.HeaderMsgID, "made up") // or it would be dropped
	_, err = r.auditor.js.PublishMsg(ctx, &nats.Msg{Subject: again.subject, Header: again.header, Data: again.data})
	r.must(err)
	want := verdict{missing: 1, strange: 1}
	if v := r.audit(); v.faults() != want.faults() {
		t.Errorf("%v: %q", v.faults(), v.notes)
	}
}
