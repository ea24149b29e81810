package orders

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/internal/pause"
)

const (
	// rereadMost is how often the whole bucket is read although new entries
	// come by themselves: who delivers them may have fallen silent. Only a
	// reading counts as having heard: it takes a majority of the cluster, where
	// a consumer on a server that is cut off goes on sending heartbeats.
	rereadMost = 10 * time.Second
	// readTimeout bounds the first reading. Those after it must be quick:
	// what is delivered meanwhile waits.
	readTimeout   = 5 * time.Second
	rereadTimeout = 2 * time.Second
	createEvery   = 10 * time.Second
)

// rereadEvery leaves time for two failures before what is known is too old.
func (w *Watcher) rereadEvery() time.Duration { return min(rereadMost, w.cfg.MaxAge/3) }

// follow takes in the bucket and all that comes after, until it cannot go on.
func (w *Watcher) follow(ctx context.Context) error {
	f, err := w.read(ctx, readTimeout)
	if err != nil {
		return err
	}
	defer func() { f.stop() }()
	for {
		if err := w.receive(ctx, f); err != nil {
			return err
		}
		next, err := w.read(ctx, rereadTimeout)
		if err == nil {
			f.stop()
			f = next
			continue
		}
		if ctx.Err() != nil || errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
		// During an election nobody answers, and orders may come all the same.
		w.report(fmt.Errorf("read the bucket again: %w", err))
		// Where a new site is waited for, it is tried again at once.
		pause.For(ctx, retryPause)
	}
}

// read takes in the whole bucket.
func (w *Watcher) read(ctx context.Context, timeout time.Duration) (*subscription, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	asked := time.Now()
	keys := w.wanted()
	found, err := inspect(ctx, w.cfg.JetStream, w.cfg.Bucket, w.cfg.Replicas)
	if err != nil {
		return nil, err
	}
	f, err := subscribe(ctx, w.cfg.JetStream, w.cfg.Bucket, keys, w.cfg.MaxOverride)
	if err != nil {
		return nil, err
	}
	all, err := f.all(ctx)
	if err != nil {
		f.stop()
		return nil, err
	}
	w.renew(reading{look: found, entries: all, keys: keys, asked: asked})
	w.report(nil)
	return f, nil
}

// receive takes in new entries until it is time to read everything again.
func (w *Watcher) receive(ctx context.Context, f *subscription) error {
	until, cancel := context.WithTimeout(ctx, w.rereadEvery())
	defer cancel()
	w.mu.Lock()
	w.rereadNow = cancel
	pending := w.unread
	w.mu.Unlock()
	if pending {
		return nil
	}
	for {
		e, err := f.next(until)
		switch {
		case err == nil:
			w.take(w.entries.With(e))
		case ctx.Err() == nil && until.Err() != nil:
			return nil
		default:
			return err
		}
	}
}

var (
	// errAbsent is what NATS says of a bucket that was never made, or deleted.
	errAbsent = errors.New("no such bucket")
	// errDeleted means that there was one: in doubt it had a lockdown.
	errDeleted = errors.New("the bucket was deleted: known lockdowns stay in force, others are unknown; " + byWhom)
)

// absent creates the bucket where there has never been one. An absent bucket alone
// is no knowledge: somebody may have deleted it. It returns nil when there is one to
// follow.
func (w *Watcher) absent(ctx context.Context) error {
	if w.wasRead() {
		return errDeleted
	}
	if w.createErr != nil && time.Since(w.createdAt) < createEvery {
		return w.createErr
	}
	w.createdAt = time.Now()
	w.createErr = dial.WhilePermitted(ctx, w.cfg.JetStream.Conn(), toCreate(w.cfg.Bucket), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		if w.cfg.Unused != nil {
			unused, err := w.cfg.Unused(ctx)
			if err != nil {
				return err
			}
			if !unused {
				return errDeleted
			}
		}
		return create(ctx, w.cfg.JetStream, w.cfg.Bucket, w.cfg.Replicas)
	})
	if w.createErr != nil && !errors.Is(w.createErr, errDeleted) {
		w.createErr = fmt.Errorf("%w, and it could not be created: %w; an administrator must create it as in deploy/nats/streams", errAbsent, w.createErr)
	}
	return w.createErr
}
