package orders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/orders/ledger"
	"github.com/sine-relay/sine-relay/internal/pause"
	"github.com/sine-relay/sine-relay/visit"
)

// Book is where the operator gives orders. While NATS does not answer, as in an
// election, its methods try again until their context ends. Errors that are due to
// a lack of permission come at once, wrap visit.ErrDenied and name the subject.
type Book struct {
	// MaxOverride is the longest that an override may last; 0 for no limit.
	MaxOverride time.Duration

	js        jetstream.JetStream
	permitted dial.Permitted
	kv        jetstream.KeyValue
	bucket    string
}

// Open creates the bucket with so many replicas if it is absent. A bucket that is
// there stays as it is.
func Open(ctx context.Context, js jetstream.JetStream, bucket string, replicas int) (*Book, error) {
	return OpenShared(ctx, js, dial.Alone(js.Conn()), bucket, replicas)
}

// OpenShared is Open on a connection that others use at once.
func OpenShared(ctx context.Context, js jetstream.JetStream, permitted dial.Permitted, bucket string, replicas int) (*Book, error) {
	return open(ctx, js, permitted, bucket, func(ctx context.Context) error { return create(ctx, js, bucket, replicas) })
}

// Find is for somebody who only looks. A bucket that was deleted must not come back
// empty by that: who finds it takes it for no orders.
func Find(ctx context.Context, js jetstream.JetStream, bucket string) (*Book, error) {
	return FindShared(ctx, js, dial.Alone(js.Conn()), bucket)
}

// FindShared is Find on a connection that others use at once.
func FindShared(ctx context.Context, js jetstream.JetStream, permitted dial.Permitted, bucket string) (*Book, error) {
	return open(ctx, js, permitted, bucket, func(context.Context) error {
		return fmt.Errorf("%w; %s", ErrNoBucket, byWhom)
	})
}

// byWhom says who creates a bucket that is not there.
const byWhom = "lockdown, override and lift create it where their user may, and an administrator does by nats stream add --config deploy/nats/streams/KV_VISITOR_ORDERS.json"

func open(ctx context.Context, js jetstream.JetStream, permitted dial.Permitted, bucket string, absent func(context.Context) error) (*Book, error) {
	b, missing := &Book{js: js, permitted: permitted, bucket: bucket}, false
	err := b.retry(ctx, toCreate(bucket), func(ctx context.Context) (err error) {
		b.kv, err = js.KeyValue(ctx, bucket)
		if !errors.Is(err, jetstream.ErrBucketNotFound) {
			return err
		}
		missing = true
		if err := absent(ctx); err != nil {
			return err
		}
		b.kv, err = js.KeyValue(ctx, bucket)
		return err
	})
	switch {
	case err == nil:
		return b, nil
	case missing && errors.Is(err, visit.ErrDenied):
		err = fmt.Errorf("no bucket, and no permission to create it; %s: %w", byWhom, err)
	case errors.Is(err, jetstream.ErrBadBucket):
		err = fmt.Errorf("%w: nats stream edit %s --max-msgs-per-subject %d, or create it as in deploy/nats/streams", err, streamOf(bucket), history)
	}
	return nil, fmt.Errorf("open bucket %s: %w", bucket, err)
}

// Now is NATS' time, by which an order should begin and end: the relays keep to it
// better than a laptop that has been asleep.
func (b *Book) Now(ctx context.Context) (now time.Time, err error) {
	err = b.retry(ctx, toLook(b.bucket), func(ctx context.Context) error {
		stream, err := b.js.Stream(ctx, streamOf(b.bucket))
		if err == nil {
			now = stream.CachedInfo().TimeStamp
		}
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("ask NATS for the time: %w", err)
	}
	return now, nil
}

// Put gives an order, in place of one of the same kind for the same site, and
// returns it as it is in the bucket: with an ID, and beginning at NATS' time. With
// [ErrUnconfirmed] it may be stored all the same; [Book.List] tells.
func (b *Book) Put(ctx context.Context, o visit.Order) (visit.Order, error) {
	o.ID = visit.NewRequestID()
	if err := o.Validate(); err != nil {
		return o, fmt.Errorf("give order: %w", err)
	}
	lasts := o.Until.Sub(o.Since)
	key := ledger.Key(o.Kind, o.Site)
	_, err := b.store(ctx, key, func(now time.Time) any {
		o.Since = now
		if !o.Until.IsZero() {
			o.Until = now.Add(lasts)
		}
		return o
	})
	if err != nil {
		return o, fmt.Errorf("put %s into bucket %s: %w", key, b.bucket, err)
	}
	return o, nil
}

// store puts what it is given for NATS' present time under a key. Each try asks
// for the time anew: what was given long before it was stored counts for nothing.
//
// Its error wraps [ErrUnconfirmed] once one try may have been stored, whatever came
// of the others.
func (b *Book) store(ctx context.Context, key string, value func(now time.Time) any) (revision uint64, err error) {
	unconfirmed := false
	err = b.retry(ctx, toPut(b.bucket, key), func(ctx context.Context) error {
		stream, err := b.js.Stream(ctx, streamOf(b.bucket))
		if err != nil {
			return err
		}
		data, err := json.Marshal(value(stream.CachedInfo().TimeStamp.UTC()))
		if err != nil {
			return err
		}
		revision, err = b.kv.Put(ctx, key, data)
		unconfirmed = unconfirmed || mayBeStored(err)
		return err
	})
	if err != nil && unconfirmed && !errors.Is(err, visit.ErrDenied) {
		return 0, fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	}
	return revision, err
}

// mayBeStored reports whether a failed publication may have reached a stream all
// the same: anything but a refusal, or that nobody was there.
func mayBeStored(err error) bool {
	var refused *jetstream.APIError
	return err != nil && !errors.As(err, &refused) && !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, jetstream.ErrNoStreamResponse)
}

// maxReported are the invalid entries that a list names; there may be one for each
// key that somebody invents.
const maxReported = 10

// List returns the orders in the bucket, expired ones included, by key. An error
// that wraps [ErrInvalid] names the first entries that count for nothing; the orders
// are complete all the same.
func (b *Book) List(ctx context.Context) ([]visit.Order, error) {
	entries, err := b.entries(ctx)
	if err != nil {
		return nil, fmt.Errorf("list bucket %s: %w", b.bucket, err)
	}
	faults := entries.Invalid()
	if more := len(faults) - maxReported; more > 0 {
		faults = append(faults[:maxReported], fmt.Errorf("%w: %d more", ErrInvalid, more))
	}
	return entries.Orders(), errors.Join(faults...)
}

func (b *Book) entries(ctx context.Context, keys ...string) (entries ledger.Ledger, err error) {
	err = b.retry(ctx, toFollow(b.bucket), func(ctx context.Context) error {
		f, err := subscribe(ctx, b.js, b.bucket, keys, b.MaxOverride)
		if err != nil {
			return err
		}
		defer f.stop()
		entries, err = f.all(ctx)
		return err
	})
	return entries, err
}

// tryTimeout is how long one try may take: what is sent to a leader that has just
// gone is never answered.
const tryTimeout = 2 * time.Second

// retry tries until it works, ctx ends, or trying again would not help. Whatever
// is tried may be done twice without harm.
func (b *Book) retry(ctx context.Context, needs func(subject string) bool, try func(context.Context) error) error {
	for {
		err := b.try(ctx, needs, try)
		if err == nil || !passing(err) {
			return err
		}
		pause.For(ctx, retryPause)
		if ctx.Err() != nil {
			return err
		}
	}
}

func (b *Book) try(ctx context.Context, needs func(subject string) bool, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	return b.permitted(ctx, needs, try)
}

// passing reports whether a fault may go away by itself.
func passing(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code == 503
	}
	for _, e := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, jetstream.ErrNoStreamResponse,
		jetstream.ErrNoHeartbeat, visit.ErrDisconnected, errGap,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
