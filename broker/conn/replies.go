package conn

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// delivery is what became of a reply.
type delivery int

const (
	delivered delivery = iota
	// late is a reply that is no longer awaited.
	late
	// surplus replies to what was sent once more and was replied to before.
	surplus
	// duplicate is a reply too many: the message had its reply already.
	duplicate
	// ignored is a reply that does not count.
	ignored
)

// Observer is called with replies that do not count, or come too late or too often.
// A nil function ignores them.
type Observer struct {
	Late      func()
	Duplicate func(subject string)
	Ignored   func(subject string, reply *nats.Msg)
}

func (o *Observer) observe(became delivery, subject string, reply *nats.Msg) {
	switch {
	case became == late && o.Late != nil:
		o.Late()
	case became == duplicate && o.Duplicate != nil:
		o.Duplicate(subject)
	case became == ignored && o.Ignored != nil:
		o.Ignored(subject, reply)
	}
}

const (
	// rememberReplied and maxReplied bound how long, and of how many messages, it is
	// remembered that there was a reply.
	rememberReplied = 30 * time.Second
	maxReplied      = 4096
)

// replied remembers for a while what was replied to, so that a duplicate reply is
// distinguished from a late one.
type replied struct {
	all  map[string]int // the place in the ring, by token
	ring []former       // oldest at next
	next int
}

// former is a reply that was awaited.
type former struct {
	token    string
	subject  string
	accepts  func(*nats.Msg) bool
	observer *Observer
	then     delivery // of a reply that is still to come
	left     int      // replies that are still to come, to what was sent more than once
	at       time.Time
}

func (r *replied) add(one *PendingReply, now time.Time) { r.remember(one, one.sent-1, surplus, now) }

func (r *replied) remember(one *PendingReply, left int, then delivery, now time.Time) {
	if r.all == nil {
		r.all = make(map[string]int)
	}
	f := former{token: one.token, subject: one.Subject, accepts: one.Accepts, observer: one.Observer, then: then, left: left, at: now}
	if len(r.ring) < maxReplied {
		r.all[one.token] = len(r.ring)
		r.ring = append(r.ring, f)
		return
	}
	delete(r.all, r.ring[r.next].token)
	r.all[one.token], r.ring[r.next] = r.next, f
	r.next = (r.next + 1) % maxReplied
}

// again says what a reply is that is no longer awaited.
func (r *replied) again(token string, reply *nats.Msg, now time.Time) (delivery, *Observer, string) {
	place, found := r.all[token]
	if !found || now.Sub(r.ring[place].at) > rememberReplied {
		return late, nil, ""
	}
	before := &r.ring[place]
	switch {
	case before.accepts != nil && !before.accepts(reply):
		return ignored, before.observer, before.subject
	case before.left > 0:
		before.left--
		return before.then, before.observer, before.subject
	default:
		return duplicate, before.observer, before.subject
	}
}

// forget removes a reply, and says what it is if it comes all the same.
func (p *pending) forget(one *PendingReply, then delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, found := p.all[one.token]; found {
		delete(p.all, one.token)
		p.replied.remember(one, one.sent, then, time.Now())
	}
}

// Replies collects the replies to one or several messages of one caller. Delivering
// never blocks. The zero value is not ready.
type Replies struct {
	mu    sync.Mutex
	queue []Reply
	first [1]Reply      // room for what is mostly the only one
	ready chan struct{} // holds a token while the queue may have one
}

// NewReplies returns an empty collection.
func NewReplies() *Replies {
	r := &Replies{ready: make(chan struct{}, 1)}
	r.queue = r.first[:0]
	return r
}

// Ready is readable when there may be a reply to [Replies.Take].
func (r *Replies) Ready() <-chan struct{} { return r.ready }

// Take returns the next reply, if there is one.
func (r *Replies) Take() (Reply, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		return Reply{}, false
	}
	next := r.queue[0]
	if r.queue = r.queue[1:]; len(r.queue) > 0 {
		r.signal()
	} else {
		r.queue = r.first[:0]
	}
	return next, true
}

// Next waits for the next reply, and reports false when ctx ended before it came.
func (r *Replies) Next(ctx context.Context) (Reply, bool) {
	for {
		if next, ok := r.Take(); ok {
			return next, true
		}
		select {
		case <-r.ready:
		case <-ctx.Done():
			return r.Take()
		}
	}
}

func (r *Replies) deliver(one Reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = append(r.queue, one)
	r.signal()
}

// signal is called with the lock held.
func (r *Replies) signal() {
	select {
	case r.ready <- struct{}{}:
	default:
	}
}
