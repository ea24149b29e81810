package desk

import (
	"context"
	"log/slog"
	"sync"
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
	// maxUnrecorded is how many sign-outs are kept that NATS does not take.
	maxUnrecorded = 1000
	// signOutTimeout bounds one look. The first one reads the entries of a session's
	// lifetime.
	signOutTimeout = 5 * time.Minute
)

// signedOut records that a session has ended, so that other desks end it, too, and this
// one after a restart. Nobody waits for NATS to sign out: what could not be recorded has
// ended at this desk alone, and is recorded later.
func (d *Desk) signedOut(ctx context.Context, u access.User, key string) {
	if d.limits.take(u.ID, visit.ActionSignOut, d.now()) > 0 {
		d.log.Warn("a sign-out is not recorded: "+stillValid+" until it expires", "err", "the user signs out too often")
		return
	}
	out := sessionEnd{u, key, d.now().Add(d.access.SessionLifetime())}
	switch err := d.recordSignOut(context.WithoutCancel(ctx), out); {
	case err == nil:
	case d.unrecorded.add(out):
		d.log.Warn("a sign-out could not be recorded yet: until it is, "+stillValid, "err", doors.Why(err))
	default:
		d.log.Warn("a sign-out could not be recorded, and too many wait for that already: "+stillValid+" until it expires", "err", doors.Why(err))
	}
}

const stillValid = "other desks, and this one after a restart, take the session for valid"

func (d *Desk) recordSignOut(ctx context.Context, out sessionEnd) error {
	ctx, cancel := context.WithTimeout(ctx, quickTimeout)
	defer cancel()
	return d.audit(ctx, out.user, visit.ActionSignOut, visit.AllSites, out.key)
}

// sessionEnd is the end of a session, which would be valid until then.
type sessionEnd struct {
	user  access.User
	key   string
	until time.Time
}

// sessionEnds are those that are not recorded yet, in order.
type sessionEnds struct {
	mu  sync.Mutex
	all []sessionEnd
}

// add reports whether there was room.
func (s *sessionEnds) add(out sessionEnd) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= maxUnrecorded {
		return false
	}
	s.all = append(s.all, out)
	return true
}

// first is the oldest, and how many there are.
func (s *sessionEnds) first() (out sessionEnd, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) > 0 {
		out = s.all[0]
	}
	return out, len(s.all)
}

func (s *sessionEnds) dropFirst() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = s.all[1:]
}

// recordLater tries again and again to record the sign-outs that are not recorded yet,
// until ctx ends.
func (d *Desk) recordLater(ctx context.Context) {
	for pause.For(ctx, signOutRetry); ctx.Err() == nil; pause.For(ctx, signOutRetry) {
		d.recordUnrecorded(ctx)
	}
	if _, n := d.unrecorded.first(); n > 0 {
		d.log.Warn("sign-outs were not recorded before the desk ended: desks take the sessions for valid until they expire", "sessions", n)
	}
}

// recordUnrecorded records them up to the first that cannot be. It is called by one
// goroutine at a time.
func (d *Desk) recordUnrecorded(ctx context.Context) {
	recorded := 0
	for {
		out, n := d.unrecorded.first()
		if n == 0 {
			break
		}
		if d.now().Before(out.until) {
			if d.recordSignOut(ctx, out) != nil {
				break
			}
			recorded++
		}
		d.unrecorded.dropFirst()
	}
	if recorded > 0 {
		d.log.Info("sign-outs that could not be recorded before are recorded", "sessions", recorded)
	}
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
