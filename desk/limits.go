package desk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/internal/ratelimit"
	"github.com/sine-relay/sine-relay/visit"
)

var (
	errBusy     = errors.New("others are reading so much that you would have to wait; try again")
	errBusySelf = errors.New("you are reading much already, perhaps in another window; try again when that has ended")
)

// limiter bounds how many read much at once, so that NATS and the desk are not overloaded.
// One user is only some of them, however many pages that user opens.
type limiter struct {
	all     chan struct{}
	perUser int

	mu    sync.Mutex
	users map[string]*reservations
}

// reservations are those of one user, as long as there is one or somebody waits for one.
type reservations struct {
	taken  chan struct{}
	wanted int
}

func newLimiter(n, perUser int) *limiter {
	return &limiter{all: make(chan struct{}, n), perUser: perUser, users: map[string]*reservations{}}
}

// acquire waits until one may read much or ctx ends. Another may once release was called.
func (l *limiter) acquire(ctx context.Context, user string) (release func(), err error) {
	own := l.want(user)
	select {
	case own.taken <- struct{}{}:
	case <-ctx.Done():
		l.leave(user, own)
		return nil, errBusySelf
	}
	select {
	case l.all <- struct{}{}:
	case <-ctx.Done():
		<-own.taken
		l.leave(user, own)
		return nil, errBusy
	}
	return func() {
		<-l.all
		<-own.taken
		l.leave(user, own)
	}, nil
}

func (l *limiter) want(user string) *reservations {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.users[user]
	if own == nil {
		own = &reservations{taken: make(chan struct{}, l.perUser)}
		l.users[user] = own
	}
	own.wanted++
	return own
}

func (l *limiter) leave(user string, own *reservations) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if own.wanted--; own.wanted == 0 {
		delete(l.users, user)
	}
}

// maxLimited bounds the users that are remembered for each action.
const maxLimited = 10_000

// actionLimits are generous for people. A script that writes entries as fast as it can
// would fill the audit's stream, and without an entry no name is shown and no override
// given. Orders have no limit: a lockdown must never wait.
var actionLimits = map[visit.Action]ratelimit.Limits{
	visit.ActionReveal: {Burst: 60, Refill: 10 * time.Second, Clients: maxLimited},
	visit.ActionSource: {Burst: 30, Refill: 30 * time.Second, Clients: maxLimited},
	visit.ActionExport: {Burst: 20, Refill: 2 * time.Minute, Clients: maxLimited},
	visit.ActionTry:    {Burst: 60, Refill: 5 * time.Second, Clients: maxLimited},
	// What is beyond it is not recorded, but done all the same.
	visit.ActionSignOut: {Burst: 20, Refill: 2 * time.Minute, Clients: maxLimited},
}

// actionLimiter limits how often each user does something.
type actionLimiter map[visit.Action]*ratelimit.Limiter[string]

func newActionLimiter() actionLimiter {
	l := actionLimiter{}
	for action, limits := range actionLimits {
		l[action] = ratelimit.New[string](limits)
	}
	return l
}

// take counts what a user does, or returns after what time the user may.
func (l actionLimiter) take(user string, action visit.Action, now time.Time) (wait time.Duration) {
	if one := l[action]; one != nil {
		return one.Take(user, now)
	}
	return 0
}

// mayNow reports whether the user of a request may do something now. If not, it answers.
func (d *Desk) mayNow(w http.ResponseWriter, r *http.Request, action visit.Action) bool {
	wait := d.limits.take(access.UserOf(r.Context()).ID, action, d.now())
	if wait == 0 {
		return true
	}
	seconds := int(wait/time.Second) + 1
	w.Header().Set("Retry-After", fmt.Sprint(seconds))
	d.message(w, r, http.StatusTooManyRequests, "Too often", fmt.Sprintf("You did this too often. Nothing was shown, sent or recorded. Try again in %d seconds.", seconds))
	return false
}
