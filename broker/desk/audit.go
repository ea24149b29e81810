package desk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/internal/pause"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// storeTimeout bounds one try to store: what is sent to a leader that has just gone
	// is never answered.
	storeTimeout = 2 * time.Second
	retryPause   = 100 * time.Millisecond
)

// Audit stores what somebody did at the desk: nil only when it is stored. It tries again
// while NATS elects a leader, until ctx ends, and creates the stream where it is absent
// and the user may. NATS that is away, or that refuses, is an error at once, and so is an
// entry that is not valid.
func (d *Desk) Audit(ctx context.Context, a visit.Audit) error {
	if err := a.Validate(); err != nil {
		return fmt.Errorf("store what was done: %w", err)
	}
	m, err := a.Message(d.cfg.Streams.Subjects)
	if err != nil {
		return err
	}
	for created := false; ; {
		err := d.storeOnce(ctx, m)
		switch {
		case err == nil || ctx.Err() != nil || errors.Is(err, visit.ErrDenied) || errors.Is(err, visit.ErrDisconnected):
			return err
		case errors.Is(err, visit.ErrStreamMissing) && !created:
			if err := d.createAudit(ctx, err); err != nil {
				return err
			}
			created = true
		case !passing(err):
			return err
		}
		pause.For(ctx, retryPause)
	}
}

func (d *Desk) storeOnce(ctx context.Context, m visit.Message) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	_, err := d.views.Store(ctx, m, d.cfg.Streams.Audit.Name)
	return err
}

// passing reports whether a fault may go away by itself.
func passing(err error) bool {
	var retryable *streams.Retryable
	return errors.As(err, &retryable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
}

// createAudit creates the stream of which missing says that it is absent.
func (d *Desk) createAudit(ctx context.Context, missing error) error {
	err := d.views.CreateStream(ctx, streams.AuditStream(d.cfg.Streams))
	if errors.Is(err, visit.ErrDenied) {
		return fmt.Errorf("%w, and the user may not create it; an administrator does by nats stream add --config deploy/nats/streams/%s.json: %w",
			missing, visit.DefaultAuditStream, err)
	}
	if streams.NoRoom(err) {
		return fmt.Errorf("NATS has no room for the %d MiB that stream %s may take: enlarge its volume or max_file_store, or lower the stream's byte limit in the desk's settings: %w",
			d.cfg.Streams.Audit.MaxBytes>>20, d.cfg.Streams.Audit.Name, err)
	}
	return err
}

// Audits calls fn for each that was made in [from, to), oldest first, until fn returns an
// error, which it returns; a zero to is now.
func (d *Desk) Audits(ctx context.Context, from, to time.Time, fn func(visit.Audit) error) error {
	err := d.readAudits(ctx, from, orNow(to), fn)
	if errors.Is(err, visit.ErrStreamMissing) {
		return d.createAudit(ctx, err)
	}
	return err
}

func (d *Desk) readAudits(ctx context.Context, from, to time.Time, fn func(visit.Audit) error) error {
	stream, subjects := d.cfg.Streams.Audit.Name, d.cfg.Streams.Subjects
	err := d.views.Scan(ctx, stream, subjects.All(visit.RootAudit), from.Add(-clockSkew), func(m *jetstream.RawStreamMsg) error {
		if m.Time.After(to.Add(clockSkew)) {
			return errFound
		}
		a, err := visit.ParseAudit(subjects, m.Subject, m.Data)
		switch {
		case err != nil || m.Header.Get(visit.HeaderMsgID) != a.ID:
			d.passOver(stream, fmt.Errorf("message %d of stream %s cannot be read", m.Sequence, stream))
		case !a.Time.Before(from) && a.Time.Before(to):
			return fn(a)
		}
		return nil
	})
	if errors.Is(err, errFound) {
		return nil
	}
	return err
}
