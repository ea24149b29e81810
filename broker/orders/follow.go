package orders

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// rereadEvery is how often the whole bucket is read although new entries
	// come by themselves: who delivers them may have fallen silent.
	rereadEvery = 10 * time.Second
	// readTimeout bounds the first reading. Those after it must be quick:
	// what is delivered meanwhile waits.
	readTimeout   = 5 * time.Second
	rereadTimeout = time.Second
	createEvery   = 10 * time.Second
)

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
	}
}

// read takes in the whole bucket.
func (w *Watcher) read(ctx context.Context, timeout time.Duration) (*feed, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	f, err := subscribe(ctx, w.cfg.JetStream, w.cfg.Bucket)
	if err != nil {
		return nil, err
	}
	all, err := f.all(ctx)
	if err != nil {
		f.stop()
		return nil, err
	}
	w.renew(all)
	w.report(nil)
	return f, nil
}

// receive takes in new entries until it is time to read everything again.
func (w *Watcher) receive(ctx context.Context, f *feed) error {
	until, cancel := context.WithTimeout(ctx, rereadEvery)
	defer cancel()
	for {
		e, err := f.next(until)
		switch {
		case err == nil:
			w.take(w.entries.with(e))
		case ctx.Err() == nil && until.Err() != nil:
			return nil
		default:
			return err
		}
	}
}

// errAbsent is what NATS says of a bucket that was never made, or deleted.
var errAbsent = errors.New("there is no such bucket")

// absent takes the missing bucket for an empty one, and tries to create it. It
// returns nil when there is one to follow.
func (w *Watcher) absent(ctx context.Context) error {
	w.renew(ledger{})
	if w.createErr != nil && time.Since(w.createdAt) < createEvery {
		return w.createErr
	}
	w.createdAt = time.Now()
	w.createErr = heed(ctx, w.cfg.JetStream.Conn(), toChange(w.cfg.Bucket), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		return create(ctx, w.cfg.JetStream, w.cfg.Bucket, w.cfg.Replicas)
	})
	if w.createErr != nil {
		w.createErr = fmt.Errorf("%w, and it could not be created: %w", errAbsent, w.createErr)
	}
	return w.createErr
}
