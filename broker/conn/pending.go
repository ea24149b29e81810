package conn

import (
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

// Expectation is a reply that will be awaited.
type Expectation struct {
	// Subject is what will be sent to.
	Subject string
	// Accepts says whether a reply counts. Nil accepts every reply.
	Accepts func(*nats.Msg) bool
	Replies *Replies
	// Observer is called with what does not count. Nil is the connection's own.
	Observer *Observer
	// Deadline ends the waiting; zero for never. What was not sent by then is not
	// sent.
	Deadline time.Time
	// Remind is when Replies gets [ErrNoReplyYet] once; zero for never.
	Remind time.Time
}

// PendingReply is a reply that is awaited on one connection.
type PendingReply struct {
	Expectation
	conn *Conn
	// token is the last part of the reply subject. With a number that counts up,
	// a client that got one message could reply to the next, which went to another.
	token string
	// sent is how often the message was handed to the client, and so how many replies
	// may come; guarded by the table's mutex.
	sent int
}

// Reply is what became of a message: its reply, or why there is none.
type Reply struct {
	To  *PendingReply
	Msg *nats.Msg
	// Value is what [PendingReply.Resolve] gave instead of a message.
	Value any
	// Err is why there is no reply: visit.ErrTimeout after the deadline,
	// visit.ErrDisconnected, a [*Denial], or why the message could not be sent.
	Err error
	// Sent is set where the message was handed to the client: a receiver may have it.
	Sent bool
}

// ErrNoReplyYet is in a [Reply] that only reminds of the reply that is still awaited.
var ErrNoReplyYet = errors.New("no reply yet")

// sweepInterval is how late a deadline is noticed at most. One sweep costs less than a
// timer for each message.
const sweepInterval = 5 * time.Millisecond

// pending is the table of the replies that are awaited on one connection. An entry
// leaves it exactly once: with a reply, with an error, or cancelled by its owner.
type pending struct {
	mu      sync.Mutex
	all     map[string]*PendingReply
	replied replied
	// refused is set while no reply can arrive at all.
	refused error
	// filled has a token after the table was empty, for the sweep.
	filled chan struct{}
}

// newToken has 130 random bits, which take about 100 ns.
func newToken() string { return rand.Text() }

func newPending() *pending {
	return &pending{all: make(map[string]*PendingReply), filled: make(chan struct{}, 1)}
}

// add enters a reply that is about to be asked for.
func (p *pending) add(one *PendingReply) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused != nil {
		return p.refused
	}
	p.enter(one)
	return nil
}

// enter is called with the lock held.
func (p *pending) enter(one *PendingReply) {
	p.all[one.token] = one
	if len(p.all) == 1 {
		select {
		case p.filled <- struct{}{}:
		default:
		}
	}
}

func (p *pending) empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all) == 0
}

// remove reports false when the reply was delivered before: then it lies in its
// channel.
func (p *pending) remove(one *PendingReply) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, found := p.all[one.token]
	delete(p.all, one.token)
	return found
}

// restore enters a reply again that ended in an error, since it may come all the same.
func (p *pending) restore(one *PendingReply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.enter(one)
}

// handOver reports whether the message is still to be sent, and notes that it is.
func (p *pending) handOver(one *PendingReply) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, found := p.all[one.token]; !found || passed(one.Deadline, time.Now()) {
		return false // the sweep says so
	}
	one.sent++
	return true
}

// unsent ends the waiting for the reply to what was handed over and not sent after all.
func (p *pending) unsent(one *PendingReply, err error) {
	p.mu.Lock()
	one.sent--
	p.mu.Unlock()
	p.reject(one, err)
}

// reject ends the waiting for one reply.
func (p *pending) reject(one *PendingReply, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, found := p.all[one.token]; found {
		p.end(one, Reply{Err: err})
	}
}

// resolve ends the waiting for a reply that its owner gets from elsewhere.
func (p *pending) resolve(one *PendingReply, r Reply) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, found := p.all[one.token]; !found {
		return false
	}
	delete(p.all, one.token)
	r.To = one
	one.Replies.deliver(r)
	return true
}

func (p *pending) remindAt(one *PendingReply, at time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	one.Remind = at
	_, found := p.all[one.token]
	return found
}

func passed(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// sweep ends the waiting for replies whose deadline has passed, and reminds of others.
func (p *pending) sweep(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.all {
		switch {
		case passed(one.Deadline, now):
			p.replied.remember(one, one.sent, late, now)
			p.end(one, Reply{Err: visit.ErrTimeout})
		case passed(one.Remind, now):
			one.Remind = time.Time{}
			one.Replies.deliver(Reply{To: one, Err: ErrNoReplyYet, Sent: one.sent > 0})
		}
	}
}

// sweepUntil sweeps while replies are pending, until done is closed.
func (p *pending) sweepUntil(done <-chan struct{}) {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-done:
			return
		}
		p.sweep(time.Now())
		if !p.empty() {
			continue
		}
		tick.Stop()
		select {
		case <-p.filled:
			tick.Reset(sweepInterval)
		case <-done:
			return
		}
	}
}

// deliver hands a reply to its owner, and returns who observes it otherwise and what
// the message was sent to, where that is known.
func (p *pending) deliver(token string, reply *nats.Msg) (became delivery, o *Observer, subject string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one, found := p.all[token]; found {
		if one.Accepts != nil && !one.Accepts(reply) {
			return ignored, one.Observer, one.Subject
		}
		p.end(one, Reply{Msg: reply})
		p.replied.add(one, time.Now())
		return delivered, nil, one.Subject
	}
	return p.replied.again(token, reply, time.Now())
}

// end is called with the lock held.
func (p *pending) end(one *PendingReply, r Reply) {
	delete(p.all, one.token)
	r.To, r.Sent = one, one.sent > 0
	one.Replies.deliver(r)
}
