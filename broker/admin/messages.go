package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/visit"
)

// Messages reads the messages of a stream on some subjects by their sequence numbers. It
// is safe for concurrent use.
type Messages struct {
	nc               dial.Link
	stream, subjects string
}

// Messages returns a reader of a stream on subjects.
func (v *Views) Messages(stream, subjects string) Messages { return Messages{v.c, stream, subjects} }

// Last is the sequence number of the newest message, or 0 where there is none.
func (m Messages) Last(ctx context.Context) (sequence uint64, err error) {
	newest, err := m.pager(1).last(ctx, m.subjects)
	if err != nil || newest == nil {
		return 0, err
	}
	return newest.Sequence, nil
}

// at returns the message with a sequence number, or nil where there is none.
func (m Messages) at(ctx context.Context, sequence uint64) (*jetstream.RawStreamMsg, error) {
	return m.pager(sequence).one(ctx, map[string]uint64{"seq": sequence})
}

const (
	// maxBetween is how many messages that nobody wants are read to save a question.
	maxBetween = 4
	// worthwhile is of how many messages a run is read at once: NATS looks through the
	// stream first, which takes as long as several questions for one.
	worthwhile = 16
)

// Some calls fn for each message with one of some sequence numbers that is still stored, in
// their order. One may be on another subject.
func (m Messages) Some(ctx context.Context, sequences []uint64, fn func(*jetstream.RawStreamMsg)) error {
	for _, run := range inRuns(sequences) {
		if err := m.readRun(ctx, run, fn); err != nil {
			return err
		}
	}
	return nil
}

// inRuns puts sequence numbers in order, and those together that follow one another closely.
func inRuns(sequences []uint64) (runs [][]uint64) {
	sequences = slices.Sorted(slices.Values(sequences))
	for i, sequence := range sequences {
		if i == 0 || sequence-sequences[i-1] > maxBetween {
			runs = append(runs, nil)
		}
		last := len(runs) - 1
		runs[last] = append(runs[last], sequence)
	}
	return runs
}

func (m Messages) readRun(ctx context.Context, run []uint64, fn func(*jetstream.RawStreamMsg)) error {
	if len(run) >= worthwhile {
		return m.Between(ctx, run[0], run[len(run)-1]+1, func(message *jetstream.RawStreamMsg) error {
			if _, wanted := slices.BinarySearch(run, message.Sequence); wanted {
				fn(message)
			}
			return nil
		})
	}
	for _, sequence := range run {
		message, err := m.at(ctx, sequence)
		if err != nil {
			return err
		}
		if message != nil {
			fn(message)
		}
	}
	return nil
}

// Next returns the first message at a sequence number or behind it, and how many are
// stored from that one on, itself included; 0 where NATS does not say it, as before 2.11.
// The message is nil where there is none. Another server of a cluster may lag behind.
func (m Messages) Next(ctx context.Context, sequence uint64) (found *jetstream.RawStreamMsg, stored uint64, err error) {
	one := batch{Sequence: sequence, Subject: m.subjects, Batch: 1, MaxBytes: batchBytes}
	err = m.pager(sequence).get(ctx, one, func(got *jetstream.RawStreamMsg) { found = got }, func(*nats.Msg) {})
	if err == nil && found != nil {
		stored = pendingOf(found.Header)
	}
	return found, stored, err
}

// Between calls fn for each message from a sequence number on and before another one, or
// up to the newest for 0, in their order, until fn returns an error, which it returns. It
// reads the next ones while fn works.
func (m Messages) Between(ctx context.Context, from, to uint64, fn func(*jetstream.RawStreamMsg) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := m.pager(from)
	p.before = to
	coming := p.readAhead(ctx)
	for {
		page := <-coming
		if page.more {
			coming = p.readAhead(ctx)
		}
		for _, message := range page.messages {
			if to > 0 && message.Sequence >= to {
				return nil
			}
			if err := fn(message); err != nil {
				return err
			}
		}
		if page.err != nil || !page.more {
			return page.err
		}
	}
}

func (m Messages) pager(from uint64) *pager {
	return &pager{nc: m.nc, stream: m.stream, next: batch{Sequence: from, Subject: m.subjects}}
}

// FindRecords returns the records of decisions since a time whose request id
// begins with reference, oldest first.
func FindRecords(ctx context.Context, cfg Config, reference string, since time.Time) ([]visit.Record, error) {
	cfg, nc, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	var found []visit.Record
	err = scan(ctx, nc, cfg.Streams.Decisions.Name, since, func(m *jetstream.RawStreamMsg) error {
		if m.Time.Before(since) || !strings.HasPrefix(m.Header.Get(visit.HeaderRequestID), reference) {
			return nil
		}
		var r visit.Record
		if err := json.Unmarshal(m.Data, &r); err != nil {
			return fmt.Errorf("message %d of stream %s is not a decision record: %w", m.Sequence, cfg.Streams.Decisions.Name, err)
		}
		found = append(found, r)
		return nil
	})
	return found, err
}

// Quarantine is an operator's view of what could not be understood. It creates
// and changes no stream.
type Quarantine struct {
	cfg    Config
	nc     dial.Link
	js     jetstream.JetStream
	stream jetstream.Stream
}

// Kept is a message in the quarantine.
type Kept struct {
	Sequence uint64
	Stored   time.Time
	Size     int // of the body in bytes
	visit.Quarantined
	// Fault is why the rest of it cannot be read, or nil: another client than
	// the relay wrote it.
	Fault error
}

// OpenQuarantine connects with what cfg says about servers, authentication and
// names.
func OpenQuarantine(ctx context.Context, cfg Config) (*Quarantine, error) {
	cfg, nc, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	q := &Quarantine{cfg: cfg, nc: nc}
	if q.js, err = jetstream.New(nc.Conn); err == nil {
		err = nc.Permitted(ctx, anySubject, func(ctx context.Context) (err error) {
			q.stream, err = q.js.Stream(ctx, cfg.Streams.Quarantine.Name)
			return err
		})
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("stream %s: %w", cfg.Streams.Quarantine.Name, q.nc.Explain(err))
	}
	return q, nil
}

// anySubject is what the client library publishes to for a command: a command has its
// connection to itself, and so every refusal concerns it.
func anySubject(string) bool { return true }

// Close disconnects.
func (q *Quarantine) Close() { q.nc.Close() }

// Each calls fn for each message, oldest first, until fn returns an error, which
// it returns.
func (q *Quarantine) Each(ctx context.Context, fn func(Kept) error) error {
	return scan(ctx, q.nc, q.cfg.Streams.Quarantine.Name, time.Time{}, func(m *jetstream.RawStreamMsg) error {
		return fn(keptFrom(m.Sequence, m.Time, m.Subject, m.Header, m.Data))
	})
}

// Get returns one message with its body.
func (q *Quarantine) Get(ctx context.Context, sequence uint64) (Kept, error) {
	var m *jetstream.RawStreamMsg
	err := q.nc.Permitted(ctx, anySubject, func(ctx context.Context) (err error) {
		m, err = q.stream.GetMsg(ctx, sequence)
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Kept{}, fmt.Errorf("stream %s has no message %d", q.cfg.Streams.Quarantine.Name, sequence)
	}
	if err != nil {
		return Kept{}, fmt.Errorf("get message %d of stream %s: %w", sequence, q.cfg.Streams.Quarantine.Name, q.nc.Explain(err))
	}
	return keptFrom(m.Sequence, m.Time, m.Subject, m.Header, m.Data), nil
}

func keptFrom(sequence uint64, stored time.Time, subject string, header nats.Header, body []byte) Kept {
	k := Kept{Sequence: sequence, Stored: stored, Size: len(body)}
	k.Quarantined, k.Fault = visit.ParseQuarantined(subject, header, body)
	return k
}

// Submit stores an event in its stream. Receipt.Duplicate says that it was there.
func (q *Quarantine) Submit(ctx context.Context, e *visit.Event) (visit.Receipt, error) {
	return submit(ctx, q.cfg, q.nc, e)
}

// Delete takes a message out of the quarantine for good.
func (q *Quarantine) Delete(ctx context.Context, sequence uint64) error {
	err := q.nc.Permitted(ctx, anySubject, func(ctx context.Context) error { return q.stream.SecureDeleteMsg(ctx, sequence) })
	if err != nil {
		return fmt.Errorf("delete message %d of stream %s: %w", sequence, q.cfg.Streams.Quarantine.Name, q.nc.Explain(err))
	}
	return nil
}
