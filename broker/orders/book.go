package orders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// Lift ends the order in force of a kind and a site, whose Lifts it fills in, and
// those whose ids are given as well: a relay may hold one from a bucket that was
// lost. It returns the revision by which all are lifted. [ErrNotInForce] means that
// NATS knew of none.
func (b *Book) Lift(ctx context.Context, l visit.Lift, ids ...string) (revision uint64, err error) {
	key := ledger.Key(l.Kind, l.Site)
	if _, _, ok := ledger.Terms(key); !ok {
		return 0, fmt.Errorf("lift: %s is not the key of an order", key)
	}
	entries, err := b.entries(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("lift %s in bucket %s: %w", key, b.bucket, err)
	}
	r := entries[key]
	inForce := r.Order != nil && r.Order.InForce(time.Now())
	slices.Sort(ids)
	ids = slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == r.ID() })
	switch {
	case r.Order != nil: // first: what relays say to hold may be thousands
		ids = slices.Insert(ids, 0, r.ID())
	case len(ids) == 0 && len(r.Faults) > 0:
		// Whoever lifts what is none has seen what else is there.
		ids = append(ids, visit.NewRequestID())
	}
	for i, id := range ids {
		l.Lifts = id
		if revision, err = b.storeLift(ctx, key, l); err != nil && i > 0 {
			err = fmt.Errorf("%w: the first %d of %d orders are lifted: %w", ErrUnconfirmed, i, len(ids), err)
		}
		if err != nil {
			return 0, err
		}
	}
	if !inForce {
		return revision, fmt.Errorf("lift %s: %w", key, ErrNotInForce)
	}
	return revision, nil
}

// LiftOne ends the order that l names and no other one. [ErrNotInForce] means that nothing
// was stored: it is not in force, or another order has replaced it. One that relays obey
// although the bucket has lost it is lifted if obeyed has its id.
func (b *Book) LiftOne(ctx context.Context, l visit.Lift, obeyed ...string) (revision uint64, err error) {
	key := ledger.Key(l.Kind, l.Site)
	if err := l.Validate(); err != nil {
		return 0, fmt.Errorf("lift %s: %w", key, err)
	}
	entries, err := b.entries(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("lift %s in bucket %s: %w", key, b.bucket, err)
	}
	there := entries[key].Order
	inForce := there != nil && there.InForce(time.Now())
	switch {
	case inForce && there.Identity() == l.Lifts:
	case !inForce && slices.Contains(obeyed, l.Lifts):
	default:
		return 0, fmt.Errorf("lift %s: %w", key, ErrNotInForce)
	}
	return b.storeLift(ctx, key, l)
}

// storeLift puts a lift under a key. An order that is given in the meantime stays in
// force: it has another id.
func (b *Book) storeLift(ctx context.Context, key string, l visit.Lift) (revision uint64, err error) {
	if err := l.Validate(); err != nil {
		return 0, fmt.Errorf("lift %s: %w", key, err)
	}
	revision, err = b.store(ctx, key, func(now time.Time) any {
		l.Since = now
		return l
	})
	if err != nil {
		return 0, fmt.Errorf("lift %s in bucket %s: %w", key, b.bucket, err)
	}
	return revision, nil
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
