package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// Quarantine is an operator's view of what could not be understood. It creates
// and changes no stream.
type Quarantine struct {
	cfg    Config
	nc     connection
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
		err = nc.permitted(ctx, anySubject, func(ctx context.Context) (err error) {
			q.stream, err = q.js.Stream(ctx, cfg.Streams.Quarantine.Name)
			return err
		})
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("stream %s: %w", cfg.Streams.Quarantine.Name, q.nc.explain(err))
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
	err := q.nc.permitted(ctx, anySubject, func(ctx context.Context) (err error) {
		m, err = q.stream.GetMsg(ctx, sequence)
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Kept{}, fmt.Errorf("stream %s has no message %d", q.cfg.Streams.Quarantine.Name, sequence)
	}
	if err != nil {
		return Kept{}, fmt.Errorf("get message %d of stream %s: %w", sequence, q.cfg.Streams.Quarantine.Name, q.nc.explain(err))
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
	err := q.nc.permitted(ctx, anySubject, func(ctx context.Context) error { return q.stream.SecureDeleteMsg(ctx, sequence) })
	if err != nil {
		return fmt.Errorf("delete message %d of stream %s: %w", sequence, q.cfg.Streams.Quarantine.Name, q.nc.explain(err))
	}
	return nil
}
