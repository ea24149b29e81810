package admin

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/visit"
)

// History is an operator's view of what came in: check-in requests, by the records of
// how they were answered, and events. It creates and changes nothing.
type History struct {
	cfg Config
	nc  dial.Link
}

// HistoryFilter says what of it is meant.
type HistoryFilter struct {
	// Site is one site, or empty for all.
	Site string
	// Kinds are those that are meant; none for all. Streams that hold no other kinds
	// are not read.
	Kinds []visit.Kind
	// Result are the check-in requests with this result alone: visit.ResultAccepted or
	// visit.ResultRejected. Empty for all.
	Result string
	// Since is when the relay received it at the earliest, and Until is after that; zero
	// for no end. What was stored more than a day after Until is not read: it waited in
	// a spool for that long.
	Since, Until time.Time
	// Ahead is how many entries are read ahead to put them in order, 10,000 by default.
	Ahead int
}

// HistoryEntry is one check-in request or event. Exactly one of Record, Event and
// Fault is set.
type HistoryEntry struct {
	// Time is when the relay received it, or, where that cannot be read, when it was
	// stored.
	Time time.Time
	// Stream is where it is stored, and Subject under which subject. What a body says
	// of its site and kind need not agree.
	Stream, Subject string
	// Stored is later than Time by how long it waited in a spool.
	Stored time.Time
	Kind   visit.Kind
	Site   string
	Record *visit.Record
	// Event is without what Sine sent and without form answers.
	Event *visit.Event
	// Fault is why it cannot be read: another client than the relay wrote it.
	Fault error

	size int
}

// OpenHistory connects with what cfg says about servers, authentication and names.
func OpenHistory(cfg Config) (*History, error) {
	cfg, nc, err := connect(cfg, nats.MaxReconnects(-1)) // for [History.Follow]
	if err != nil {
		return nil, err
	}
	return &History{cfg, nc}, nil
}

// Close disconnects.
func (h *History) Close() { h.nc.Close() }

// Server is the URL of the server that it is connected to, without password.
func (h *History) Server() string { return h.nc.ConnectedUrlRedacted() }

const (
	// clockSkew is by how much the relay's clock may be ahead of NATS' clock.
	clockSkew = time.Minute
	// spoolDelay is how long what is looked for may have waited in a spool.
	spoolDelay = 24 * time.Hour
	// reorderEntries and reorderBytes bound what is read ahead to put entries in order.
	reorderEntries = 10_000
	reorderBytes   = 32 << 20
)

// Each calls fn for each entry until fn returns an error, which it returns. Entries
// come in the order in which the relay received them, where NATS stored them in
// another: what waited in a spool is stored later. It reads so many entries ahead for
// that; what was stored behind more than those comes late.
func (h *History) Each(ctx context.Context, f HistoryFilter, fn func(HistoryEntry) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sources := h.sources(f)
	for _, s := range sources {
		from := f.Since.Add(-clockSkew) // nothing is stored before it is received
		s.next.StartTime = &from
	}
	most := cmp.Or(f.Ahead, reorderEntries)
	var ahead entryHeap
	size := 0
	emit := func() error {
		e := heap.Pop(&ahead).(HistoryEntry)
		size -= e.size
		return fn(e)
	}
	for {
		e, ok, err := earliest(ctx, sources)
		if err != nil {
			return err
		}
		if !ok || f.endsBefore(e.Stored.Add(-spoolDelay)) {
			break
		}
		if e.Time.Before(f.Since) || f.endsBefore(e.Time) {
			continue
		}
		heap.Push(&ahead, e)
		size += e.size
		for len(ahead) > most || size > reorderBytes {
			if err := emit(); err != nil {
				return err
			}
		}
	}
	for len(ahead) > 0 {
		if err := emit(); err != nil {
			return err
		}
	}
	return nil
}

func (f HistoryFilter) endsBefore(t time.Time) bool { return !f.Until.IsZero() && !t.Before(f.Until) }

// earliest takes the entry that was stored first of what is left in the sources.
func earliest(ctx context.Context, sources []*source) (HistoryEntry, bool, error) {
	var first *source
	for _, s := range sources {
		switch more, err := s.fill(ctx); {
		case err != nil:
			return HistoryEntry{}, false, err
		case more && (first == nil || s.page[0].Stored.Before(first.page[0].Stored)):
			first = s
		}
	}
	if first == nil {
		return HistoryEntry{}, false, nil
	}
	e := first.page[0]
	first.page = first.page[1:]
	return e, true, nil
}

// entryHeap has the entry that was received first on top.
type entryHeap []HistoryEntry

func (h entryHeap) Len() int           { return len(h) }
func (h entryHeap) Less(i, j int) bool { return byTime(h[i], h[j]) < 0 }
func (h entryHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *entryHeap) Push(e any)        { *h = append(*h, e.(HistoryEntry)) }
func (h *entryHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = HistoryEntry{} // lest it is kept
	*h = (*h)[:last]
	return e
}

func byTime(a, b HistoryEntry) int {
	return cmp.Or(a.Time.Compare(b.Time), a.Stored.Compare(b.Stored))
}

// source is a stream, as far as a filter means it.
type source struct {
	pager
	parse func(*HistoryEntry, []byte) error
	page  []HistoryEntry // read and not used yet
	ended bool
	// coming is the page behind it, which is read while this one is used.
	coming <-chan nextPage
	// newest is when the newest of what was read was stored, and idle how many polls
	// have found nothing since. doubt is set where the stream may have been made anew.
	newest time.Time
	idle   int
	doubt  bool
}

func (h *History) sources(f HistoryFilter) (all []*source) {
	site, means := cmp.Or(f.Site, "*"), func(k visit.Kind) bool { return len(f.Kinds) == 0 || slices.Contains(f.Kinds, k) }
	add := func(stream, subject string, parse func(*HistoryEntry, []byte) error) {
		all = append(all, &source{pager: pager{nc: h.nc, stream: stream, next: batch{Subject: subject}}, parse: parse})
	}
	if means(visit.KindCheckInRequest) {
		add(h.cfg.Streams.Decisions.Name, h.cfg.Streams.Subjects.Decision(site, cmp.Or(f.Result, "*")), parseRecord)
	}
	switch in, out := means(visit.KindCheckedIn), means(visit.KindCheckedOut); {
	case in && out:
		add(h.cfg.Streams.Events.Name, h.cfg.Streams.Subjects.Event(site, "*"), parseEvent)
	case in:
		add(h.cfg.Streams.Events.Name, h.cfg.Streams.Subjects.Event(site, visit.KindCheckedIn), parseEvent)
	case out:
		add(h.cfg.Streams.Events.Name, h.cfg.Streams.Subjects.Event(site, visit.KindCheckedOut), parseEvent)
	}
	return all
}

// fill reads a page unless there is one, and reports whether there is.
func (s *source) fill(ctx context.Context) (bool, error) {
	if len(s.page) > 0 || s.ended {
		return len(s.page) > 0, nil
	}
	if s.coming == nil {
		s.coming = s.readAhead(ctx)
	}
	p := <-s.coming
	if s.ended = !p.more; p.more {
		s.coming = s.readAhead(ctx)
	}
	for _, m := range p.messages {
		s.page = append(s.page, s.entry(m))
	}
	return len(s.page) > 0, p.err
}

// read adds the stream's next page to that which is not used yet.
func (s *source) read(ctx context.Context) (more bool, err error) {
	messages, more, err := s.pager.read(ctx)
	for _, m := range messages {
		s.page = append(s.page, s.entry(m))
	}
	return more, err
}

// entry reads a message. Its errors quote nothing of it.
func (s *source) entry(m *jetstream.RawStreamMsg) HistoryEntry {
	e := HistoryEntry{Stream: s.stream, Subject: m.Subject, Stored: m.Time, size: len(m.Data)}
	if err := s.parse(&e, m.Data); err != nil || e.Time.IsZero() {
		tokens := strings.Split(m.Subject, ".")
		e = HistoryEntry{Time: m.Time, Stream: s.stream, Subject: m.Subject, Stored: m.Time, Kind: visit.KindCheckInRequest, Site: tokens[len(tokens)-2]}
		if last := visit.Kind(tokens[len(tokens)-1]); last.IsEvent() {
			e.Kind = last
		}
		e.Fault = fmt.Errorf("message %d of stream %s cannot be read", m.Sequence, s.stream)
	}
	return e
}

func parseRecord(e *HistoryEntry, data []byte) error {
	r := &visit.Record{}
	err := json.Unmarshal(data, r)
	e.Time, e.Kind, e.Site, e.Record = r.Received, visit.KindCheckInRequest, r.Site, r
	return err
}

func parseEvent(e *HistoryEntry, data []byte) error {
	v := &visit.Event{}
	err := json.Unmarshal(data, v)
	e.size -= len(v.Source)
	v.Source, v.FormAnswers = nil, nil
	e.Time, e.Kind, e.Site, e.Event = v.Received, v.Kind, v.Site, v
	return err
}
