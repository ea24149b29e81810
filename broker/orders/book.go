package orders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// Book is where the operator gives orders. While NATS does not answer, as in an
// election, its methods try again until their context ends. Errors that are due to
// a lack of permission come at once, wrap visit.ErrDenied and name the subject.
type Book struct {
	js     jetstream.JetStream
	kv     jetstream.KeyValue
	bucket string
}

// Open creates the bucket with so many replicas if it is absent. A bucket that is
// there stays as it is.
func Open(ctx context.Context, js jetstream.JetStream, bucket string, replicas int) (*Book, error) {
	b := &Book{js: js, bucket: bucket}
	err := b.insist(ctx, func(ctx context.Context) (err error) {
		b.kv, err = js.KeyValue(ctx, bucket)
		if !errors.Is(err, jetstream.ErrBucketNotFound) {
			return err
		}
		if err := create(ctx, js, bucket, replicas); err != nil {
			return err
		}
		b.kv, err = js.KeyValue(ctx, bucket)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	return b, nil
}

// Now is NATS' time, by which an order should begin and end: the relays keep to it
// better than a laptop that has been asleep.
func (b *Book) Now(ctx context.Context) (now time.Time, err error) {
	err = b.insist(ctx, func(ctx context.Context) error {
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

// Put gives an order, in place of one of the same kind for the same site. When
// ctx ended it may be stored all the same; [Book.List] tells.
func (b *Book) Put(ctx context.Context, o visit.Order) error {
	if err := o.Check(); err != nil {
		return fmt.Errorf("give order: %w", err)
	}
	data, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("give order: %w", err)
	}
	key := keyOf(o.Kind, o.Site)
	err = b.insist(ctx, func(ctx context.Context) error {
		_, err := b.kv.Put(ctx, key, data)
		return err
	})
	if err != nil {
		return fmt.Errorf("put %s into bucket %s: %w", key, b.bucket, err)
	}
	return nil
}

// Lift ends an order. [ErrNotInForce] means that NATS knew of none; it is lifted
// all the same for a relay that still holds one from a bucket that was lost.
func (b *Book) Lift(ctx context.Context, kind visit.OrderKind, site string) error {
	key := keyOf(kind, site)
	if _, _, ok := termsOf(key); !ok {
		return fmt.Errorf("lift: %s is the key of no order", key)
	}
	entries, err := b.entries(ctx)
	if err == nil {
		err = b.insist(ctx, func(ctx context.Context) error { return b.kv.Delete(ctx, key) })
	}
	if err != nil {
		return fmt.Errorf("lift %s in bucket %s: %w", key, b.bucket, err)
	}
	if o := entries[key].order; o == nil || !o.InForce(time.Now()) {
		return fmt.Errorf("lift %s: %w", key, ErrNotInForce)
	}
	return nil
}

// List returns the orders in the bucket, expired ones included, by key. An error
// that wraps [ErrInvalid] names the entries that are none; the orders are
// complete all the same.
func (b *Book) List(ctx context.Context) ([]visit.Order, error) {
	entries, err := b.entries(ctx)
	if err != nil {
		return nil, fmt.Errorf("list bucket %s: %w", b.bucket, err)
	}
	return entries.orders(), errors.Join(entries.invalid()...)
}

func (b *Book) entries(ctx context.Context) (entries ledger, err error) {
	err = b.insist(ctx, func(ctx context.Context) error {
		f, err := subscribe(ctx, b.js, b.bucket)
		if err != nil {
			return err
		}
		defer f.stop()
		entries, err = f.all(ctx)
		return err
	})
	return entries, err
}
