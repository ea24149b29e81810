package broker

import (
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// rememberAnswered and maxAnswered bound how long, and of how many, it is
	// remembered that they were answered.
	rememberAnswered = 30 * time.Second
	maxAnswered      = 8192
)

// answered remembers for a while what was answered, so that a reply too many is
// told from one that came late.
type answered struct {
	all  map[string]*answer
	ring []string // their tokens, oldest at next
	next int
}

type answer struct {
	subject string
	accepts func(*nats.Msg) bool
	hears   *audience
	then    delivery // of an answer that is still to come
	left    int      // answers that are still to come, to what was sent more than once
	at      time.Time
}

func (a *answered) add(one *waiter, now time.Time) { a.remember(one, one.sent-1, spare, now) }

func (a *answered) remember(one *waiter, left int, then delivery, now time.Time) {
	if a.all == nil {
		a.all = make(map[string]*answer)
	}
	if len(a.ring) < maxAnswered {
		a.ring = append(a.ring, one.token)
	} else {
		delete(a.all, a.ring[a.next])
		a.ring[a.next] = one.token
		a.next = (a.next + 1) % maxAnswered
	}
	a.all[one.token] = &answer{subject: one.subject, accepts: one.accepts, hears: one.hears, then: then, left: left, at: now}
}

// again tells what a reply to a token is that nobody waits for.
func (a *answered) again(token string, reply *nats.Msg, now time.Time) (delivery, *audience, string) {
	before := a.all[token]
	switch {
	case before == nil, now.Sub(before.at) > rememberAnswered:
		return stray, nil, ""
	case !before.accepts(reply):
		return ignored, before.hears, before.subject
	case before.left > 0:
		before.left--
		return before.then, before.hears, before.subject
	default:
		return second, before.hears, before.subject
	}
}
