package desk

import (
	"fmt"
	"net/http"
	"time"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/internal/ratelimit"
	"github.com/sine-relay/sine-relay/visit"
)

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
