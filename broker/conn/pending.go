package conn

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// pending is the table of the replies that are awaited on one connection. An entry
// leaves it exactly once: with a reply, with an error, or cancelled by its owner.
type pending struct {
	mu      sync.Mutex
	all     map[string]*PendingReply
	replied replied
	// refused is set while no reply can arrive at all.
	refused error
}

// PendingReply is a reply that is awaited on one connection.
type PendingReply struct {
	conn *Conn
	// token is the last part of the reply subject. With a number that counts up,
	// a client that got one message could reply to the next, which went to another.
	token    string
	subject  string
	accepts  func(*nats.Msg) bool // whether a reply counts
	sent     int                  // how often, and so how many replies may come
	replies  chan Reply           // has room, so that delivering never blocks
	observer *Observer
}

// Reply is what became of a message that was sent: the reply, or why there is none.
type Reply struct {
	To  *PendingReply
	Msg *nats.Msg
	Err error
}

// newToken has 130 random bits, which take about 100 ns.
func newToken() string { return rand.Text() }

func newPending() *pending { return &pending{all: make(map[string]*PendingReply)} }

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

// add enters a reply that is about to be asked for.
func (p *pending) add(one *PendingReply) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused != nil {
		return p.refused
	}
	p.all[one.token] = one
	return nil
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

// forget removes a reply, and says what it is if it comes all the same.
func (p *pending) forget(one *PendingReply, then delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, found := p.all[one.token]; found {
		delete(p.all, one.token)
		p.replied.remember(one, one.sent, then, time.Now())
	}
}

// restore enters a reply again that ended in an error, since it may come all the same.
func (p *pending) restore(one *PendingReply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[one.token] = one
}

// sending notes that the message is sent once more.
func (p *pending) sending(one *PendingReply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one.sent++
}

// deliver hands a reply to its owner, and returns who observes it otherwise and what
// the message was sent to, where that is known.
func (p *pending) deliver(token string, reply *nats.Msg) (became delivery, o *Observer, subject string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one, found := p.all[token]; found {
		if !one.accepts(reply) {
			return ignored, one.observer, one.subject
		}
		p.end(one, Reply{Msg: reply})
		p.replied.add(one, time.Now())
		return delivered, nil, one.subject
	}
	return p.replied.again(token, reply, time.Now())
}

// fail ends all waiting.
func (p *pending) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.all {
		p.end(one, Reply{Err: err})
	}
}

// failSubject ends the waiting for replies to what was sent to subject.
func (p *pending) failSubject(subject string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.all {
		if one.subject == subject {
			p.end(one, Reply{Err: err})
		}
	}
}

// refuse fails all that is pending, and at once whatever comes, until admit.
func (p *pending) refuse(err error) {
	p.mu.Lock()
	p.refused = err
	p.mu.Unlock()
	p.fail(err)
}

func (p *pending) admit() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = nil
}

func (p *pending) refusal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

// end is called with the lock held.
func (p *pending) end(one *PendingReply, r Reply) {
	delete(p.all, one.token)
	r.To = one
	one.replies <- r
}

// awaitEmpty waits until nothing is pending, or ctx ends.
func (p *pending) awaitEmpty(ctx context.Context) {
	tick := time.NewTicker(handOverPoll)
	defer tick.Stop()
	for !p.empty() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
