package desk

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/visit"
)

// rate is how often a user may do something: so many times at once, and once more each
// time that an interval has passed.
type rate struct {
	burst int
	every time.Duration
}

// rates are generous for people. A script that writes entries as fast as it can would fill
// the audit's stream, and without an entry no name is shown and no override given. Orders
// have no limit: a lockdown must never wait.
var rates = map[visit.Action]rate{
	visit.ActionReveal: {60, 10 * time.Second},
	visit.ActionSource: {30, 30 * time.Second},
	visit.ActionExport: {20, 2 * time.Minute},
	visit.ActionTry:    {60, 5 * time.Second},
}

// maxLimited bounds the users and actions that are remembered.
const maxLimited = 10_000

// limits counts what users do. Its zero value has counted nothing.
type limits struct {
	mu   sync.Mutex
	used map[limited]time.Time // when all that was used is there again
}

type limited struct {
	user   string
	action visit.Action
}

// take uses one of a user's times, or returns how long there is none.
func (l *limits) take(user string, action visit.Action, now time.Time) (wait time.Duration) {
	rate, found := rates[action]
	if !found {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := limited{user, action}
	full := l.used[key]
	if full.Before(now) {
		full = now
	}
	full = full.Add(rate.every)
	if wait = full.Sub(now) - time.Duration(rate.burst)*rate.every; wait > 0 {
		return wait
	}
	if l.used == nil {
		l.used = map[limited]time.Time{}
	}
	if _, known := l.used[key]; !known && len(l.used) >= maxLimited {
		l.forget(now)
	}
	l.used[key] = full
	return 0
}

// forget makes room: whoever has used nothing lately goes, and a tenth of the others, of
// whom those who have used least.
func (l *limits) forget(now time.Time) {
	type entry struct {
		key  limited
		full time.Time
	}
	var all []entry
	for key, full := range l.used {
		if full.Before(now) {
			delete(l.used, key)
			continue
		}
		all = append(all, entry{key, full})
	}
	if len(all) < maxLimited {
		return
	}
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(a.full.Compare(b.full), cmp.Compare(a.key.user, b.key.user))
	})
	for _, e := range all[:len(all)/10] {
		delete(l.used, e.key)
	}
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
