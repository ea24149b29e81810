package orders

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/broker/orders/ledger"
	"github.com/sine-relay/sine-relay/visit"
)

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
