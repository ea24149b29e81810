package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/visit"
)

// Decisions calls fn for each record of a check-in request that is stored and was received
// from from on and before to, the one that was stored last first, with its sequence number
// and what counts of it: its site, when it was received, verdict, situation, whether it is
// synthetic or by a fallback, and whether there was an order. Its visit is one that is
// equal for the same visit. A zero to is now. Fn must not keep r.
//
// The newest 250,000 can be counted, and while they are read fewer: then since is when the
// first that counts was received, and reading is set where more will count soon.
func (d *Desk) Decisions(ctx context.Context, from, to time.Time, fn func(sequence uint64, r *visit.Record)) (since time.Time, reading bool, err error) {
	var r visit.Record
	order := &visit.OrderNote{}
	return d.decisions.each(ctx, from, to, func(sequence uint64, e entry, x *index) {
		r = visit.Record{
			Site: x.sites.all[e.site], Received: time.UnixMicro(e.received), Situation: x.situations.all[e.situation],
			Verdict: visit.Accept, Fallback: e.is(markFallback), Synthetic: e.is(markSynthetic), Visit: visitKey(e.visit),
		}
		if e.is(markRejected) {
			r.Verdict = visit.Reject
		}
		if e.is(markOrder) {
			r.Order = order
		}
		fn(sequence, &r)
	})
}

// CheckIns is the same for check-ins of which Sine sent an id of the visit; corrections
// are none. Site, Kind, Received, Synthetic and Visit are set. They are read once somebody
// has asked for them.
func (d *Desk) CheckIns(ctx context.Context, from, to time.Time, fn func(e *visit.Event)) (since time.Time, reading bool, err error) {
	d.countCheckIns.Do(func() { d.stopped.Go(func() { d.checkIns.run(d.running) }) })
	var v visit.Event
	return d.checkIns.each(ctx, from, to, func(_ uint64, e entry, x *index) {
		if e.visit == 0 {
			return
		}
		v = visit.Event{Kind: visit.KindCheckedIn, Origin: visit.Origin{
			Site: x.sites.all[e.site], Received: time.UnixMicro(e.received), Synthetic: e.is(markSynthetic), Visit: visitKey(e.visit),
		}}
		fn(&v)
	})
}

// RecordsAt calls fn for each of some records that is still stored.
func (d *Desk) RecordsAt(ctx context.Context, sequences []uint64, fn func(sequence uint64, r visit.Record)) error {
	stream := d.cfg.Streams.Decisions.Name
	messages := d.views.Messages(stream, d.cfg.Streams.Subjects.Decision("*", "*"))
	return messages.Some(ctx, sequences, func(m *jetstream.RawStreamMsg) {
		e := admin.HistoryEntry{Stream: stream, Subject: m.Subject, Record: &visit.Record{}}
		if json.Unmarshal(m.Data, e.Record) == nil && d.fault(e) == nil { // else it is counted where all are read
			fn(m.Sequence, *e.Record)
		}
	})
}

// outline is what counts of a record or an event.
type outline struct {
	ID        string         `json:"id"`
	RequestID string         `json:"requestId"`
	Site      string         `json:"site"`
	Received  time.Time      `json:"received"`
	Visit     visit.VisitKey `json:"visit"`
	Synthetic bool           `json:"synthetic"`
	Verdict   visit.Verdict  `json:"verdict"`
	Situation string         `json:"situation"`
	Fallback  bool           `json:"fallback"`
	Order     *struct{}      `json:"order"`
}

// entryOf is what counts of a message, whose subject would be right for its outline.
func entryOf(m *jetstream.RawStreamMsg, x *index, o *outline, right string) (e entry, err error) {
	if right != m.Subject || o.Received.IsZero() {
		return e, fmt.Errorf("message %d is not what belongs on its subject", m.Sequence)
	}
	site, err := x.sites.place(o.Site, maxSites)
	if err != nil {
		return e, err
	}
	situation, err := x.situations.place(o.Situation, maxSituations)
	if err != nil {
		return e, err
	}
	e = entry{received: o.Received.UnixMicro(), visit: visitNumber(o.Visit), site: uint16(site), situation: uint8(situation)}
	e.mark(markRejected, o.Verdict == visit.Reject)
	e.mark(markFallback, o.Fallback)
	e.mark(markOrder, o.Order != nil)
	e.mark(markSynthetic, o.Synthetic)
	return e, nil
}

// decision reads a record.
func (d *Desk) decision(m *jetstream.RawStreamMsg, x *index) (entry, error) {
	var o outline
	if err := json.Unmarshal(m.Data, &o); err != nil || o.RequestID == "" {
		return entry{}, fmt.Errorf("message %d cannot be read", m.Sequence)
	}
	r := visit.Record{Verdict: o.Verdict}
	return entryOf(m, x, &o, d.cfg.Streams.Subjects.Decision(o.Site, r.Result()))
}

// checkIn reads an event. One without an id of Sine's, which its header would have, counts
// for nothing.
func (d *Desk) checkIn(m *jetstream.RawStreamMsg, x *index) (entry, error) {
	if m.Header.Get(visit.HeaderSubject) == "" || m.Header.Get(visit.HeaderCorrects) != "" {
		return entry{}, nil
	}
	var o outline
	if err := json.Unmarshal(m.Data, &o); err != nil || o.ID == "" {
		return entry{}, fmt.Errorf("message %d cannot be read", m.Sequence)
	}
	return entryOf(m, x, &o, d.cfg.Streams.Subjects.Event(o.Site, visit.KindCheckedIn))
}

// each calls fn for each message that was received in [from, to), or until now where to is
// zero, as [index.each]. Where some of them are not counted it returns since when they
// are, and whether the rest is still being read.
func (c *counter) each(ctx context.Context, from, to time.Time, fn func(sequence uint64, e entry, x *index)) (since time.Time, reading bool, err error) {
	var v index
	for begun := time.Now(); ; {
		if err := c.ask(ctx); err != nil {
			return time.Time{}, false, err
		}
		v, since, reading = c.view()
		if !since.After(from) {
			since, reading = time.Time{}, false
		}
		if !reading || time.Since(begun) >= fillPatience {
			break
		}
	}
	v.each(from, to, func(sequence uint64, e entry) { fn(sequence, e, &v) })
	return since, reading, nil
}

// ask has it brought up to date.
func (c *counter) ask(ctx context.Context) error {
	reply := make(chan error, 1)
	select {
	case c.wanted <- reply:
	case <-c.ended:
		return visit.ErrDisconnected
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// view is what is counted at the moment, and since when: what was received before that is
// not counted, unless it is zero.
func (c *counter) view() (v index, since time.Time, reading bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v = c.index.view()
	switch {
	case c.filled && !c.full:
	case v.count == 0:
		since = time.Now()
	default:
		since = v.chunks[0].stored.Add(clockSkew)
	}
	return v, since, !c.filled
}
