package desk

import (
	"context"
	"log/slog"
	"time"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/desk/doors"
	"github.com/sine-relay/sine-relay/internal/pause"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// signOutInterval is between two looks at who has signed out at other desks.
	signOutInterval = 3 * time.Second
	// signOutRetry is after what time it is tried again.
	signOutRetry = 15 * time.Second
	// signOutOverlap is by how much the clocks of desks may differ.
	signOutOverlap = 2 * time.Minute
	// signOutTimeout bounds one look. The first one reads the entries of a session's
	// lifetime.
	signOutTimeout = 5 * time.Minute
)

// signedOut records that a session has ended, so that other desks end it, too, and this
// one after a restart. Nobody waits for NATS to sign out: what could not be recorded has
// ended at this desk alone.
func (d *Desk) signedOut(ctx context.Context, u access.User, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), quickTimeout)
	defer cancel()
	why := "the user signs out too often"
	if d.limits.take(u.ID, visit.ActionSignOut, d.now()) == 0 {
		err := d.audit(ctx, u, visit.ActionSignOut, visit.AllSites, key)
		if err == nil {
			return
		}
		why = doors.Why(err)
	}
	d.log.Warn("a sign-out could not be recorded: other desks, and this one after a restart, take the session for valid until it expires", slog.String("err", why))
}

// followSignOuts ends the sessions that were signed out elsewhere, or before the desk was
// started, until ctx ends.
func (d *Desk) followSignOuts(ctx context.Context) {
	from := d.now().Add(-d.access.SessionLifetime() - signOutOverlap)
	for failing := false; ctx.Err() == nil; {
		began := d.now()
		err := d.readSignOuts(ctx, from)
		if err == nil {
			from, failing = began.Add(-signOutOverlap), false
			pause.For(ctx, signOutInterval)
			continue
		}
		if !failing && ctx.Err() == nil {
			d.log.Warn("the desk cannot read who has signed out elsewhere", slog.String("err", doors.Why(err)))
		}
		failing = true
		pause.For(ctx, signOutRetry)
	}
}

func (d *Desk) readSignOuts(ctx context.Context, from time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, signOutTimeout)
	defer cancel()
	return d.broker.Audits(ctx, from, time.Time{}, func(a visit.Audit) error {
		if a.Action == visit.ActionSignOut {
			d.access.End(a.Subject)
		}
		return nil
	})
}
