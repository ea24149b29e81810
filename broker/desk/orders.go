package desk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/visit"
)

// Orders returns the standing orders that are stored, those that have ended included. An
// error that wraps visit.ErrInvalidOrder names single entries that are invalid: the orders
// are complete beside it, and not nil. Where there is no bucket the error wraps
// visit.ErrStreamMissing.
func (d *Desk) Orders(ctx context.Context) ([]visit.Order, error) {
	book, err := d.views.FindBook(ctx)
	if err != nil {
		return nil, explained(err)
	}
	all, err := book.List(ctx)
	if errors.Is(err, orders.ErrInvalid) {
		return append([]visit.Order{}, all...), fmt.Errorf("%w: %w", visit.ErrInvalidOrder, err)
	}
	return all, err
}

// MaxOverride is the longest that an override may last.
func (d *Desk) MaxOverride() time.Duration { return d.cfg.OverrideMaxDuration }

// GiveOrder stores an order, and the bucket first where the user may create it, and
// returns it as it is stored: with its id, since when, and for whom NATS takes the desk.
// It lasts as long as it says, from when it is stored on.
func (d *Desk) GiveOrder(ctx context.Context, o visit.Order) (visit.Order, error) {
	if o.Since.IsZero() {
		o.Since = time.Now()
	}
	if lasts := o.Until.Sub(o.Since); o.Kind == visit.OrderOverride && lasts > d.MaxOverride() {
		return o, fmt.Errorf("give order: the override would last %s, the maximum is %s", lasts, d.MaxOverride())
	}
	book, err := d.views.OpenBook(ctx)
	if err != nil {
		return o, explained(err)
	}
	o.User, o.Account = d.user(ctx)
	return book.Put(ctx, o)
}

// LiftOrder ends an order, also where the bucket has lost it and relays obey it still,
// whose ids are given then. It returns the revision that relays have read when they obey
// it. The error wraps visit.ErrNotFound where there is no such order in force.
func (d *Desk) LiftOrder(ctx context.Context, l visit.Lift, lost ...string) (revision uint64, err error) {
	book, err := d.views.OpenBook(ctx)
	if err != nil {
		return 0, explained(err)
	}
	l.User, l.Account = d.user(ctx)
	revision, err = book.Lift(ctx, l, lost...)
	switch {
	case errors.Is(err, orders.ErrNotInForce) && len(lost) > 0:
		return revision, nil
	case errors.Is(err, orders.ErrNotInForce):
		return revision, fmt.Errorf("%w: %w", visit.ErrNotFound, err)
	default:
		return revision, err
	}
}

// user is who NATS takes the desk for. An order is given without it as well: a lockdown
// must not wait for a permission.
func (d *Desk) user(ctx context.Context) (user, account string) {
	user, account, err := d.views.User(ctx)
	if err != nil && ctx.Err() == nil {
		d.log.Warn("the order is given without a NATS user", "err", err.Error())
	}
	return user, account
}

func explained(err error) error {
	if errors.Is(err, orders.ErrNoBucket) {
		return fmt.Errorf("%w: %w", visit.ErrStreamMissing, err)
	}
	return err
}
