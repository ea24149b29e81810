package broker

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// waiting is the table of those who wait for an answer on one connection. An
// entry leaves it exactly once: settled by an answer or by an error, or removed
// by the one who waited.
type waiting struct {
	mu       sync.Mutex
	all      map[string]*waiter
	answered answered
	// refused is set while no answer can arrive at all.
	refused error
}

type waiter struct {
	// token is the last part of the reply subject. With a number that counts up,
	// whoever was asked one question could answer the next, which went to
	// somebody else.
	token   string
	subject string
	accepts func(*nats.Msg) bool // whether a reply is an answer
	sent    int                  // how often, and so how many answers may come
	settled chan settlement      // has room, so that nobody who settles ever blocks
	hears   *audience            // of replies that are no answer
}

// newToken has 130 random bits, which take about 100 ns.
func newToken() string { return rand.Text() }

// settlement is a reply or an error.
type settlement struct {
	of    *waiter
	reply *nats.Msg
	err   error
}

func newWaiting() *waiting { return &waiting{all: make(map[string]*waiter)} }

// audience hears of replies that are no answer, or come too late or too often.
type audience struct {
	stray   func()
	second  func(subject string)
	ignored func(subject string, reply *nats.Msg)
}

// add enters somebody who is about to send to subject, and waits for what he
// accepts. The channel has room for the settlement.
func (w *waiting) add(subject string, accepts func(*nats.Msg) bool, settled chan settlement, hears *audience) (*waiter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refused != nil {
		return nil, w.refused
	}
	one := &waiter{token: newToken(), subject: subject, accepts: accepts, settled: settled, hears: hears}
	w.all[one.token] = one
	return one, nil
}

func (w *waiting) empty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.all) == 0
}

// remove reports false when the waiter was settled before: then the settlement
// lies in its channel.
func (w *waiting) remove(one *waiter) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, found := w.all[one.token]
	delete(w.all, one.token)
	return found
}

// forget removes a waiter, and says what its reply is if it comes all the same.
func (w *waiting) forget(one *waiter, then delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, found := w.all[one.token]; found {
		delete(w.all, one.token)
		w.answered.remember(one, one.sent, then, time.Now())
	}
}

// restore enters a waiter again that ended in an error, for a reply that may come
// all the same.
func (w *waiting) restore(one *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all[one.token] = one
}

// sending notes that one is sent once more.
func (w *waiting) sending(one *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one.sent++
}

// delivery is what became of a reply.
type delivery int

const (
	delivered delivery = iota
	// stray is a reply that nobody waits for: it came late.
	stray
	// spare answers what was sent once more and answered before.
	spare
	// second is a reply too many: whoever was asked had replied already.
	second
	// ignored is a reply that is no answer.
	ignored
)

// settle hands a reply to whoever waits for it, and returns who hears of it otherwise
// and what the question or the message was sent to, where that is known.
func (w *waiting) settle(token string, reply *nats.Msg) (became delivery, hears *audience, subject string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one, found := w.all[token]; found {
		if !one.accepts(reply) {
			return ignored, one.hears, one.subject
		}
		w.end(one, settlement{reply: reply})
		w.answered.add(one, time.Now())
		return delivered, nil, one.subject
	}
	return w.answered.again(token, reply, time.Now())
}

// fail ends all waiting.
func (w *waiting) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.all {
		w.end(one, settlement{err: err})
	}
}

// failSubject ends the waiting of those who sent to subject.
func (w *waiting) failSubject(subject string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.all {
		if one.subject == subject {
			w.end(one, settlement{err: err})
		}
	}
}

// refuse fails everybody who waits, and at once everybody who comes, until
// admit.
func (w *waiting) refuse(err error) {
	w.mu.Lock()
	w.refused = err
	w.mu.Unlock()
	w.fail(err)
}

func (w *waiting) admit() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = nil
}

func (w *waiting) refusal() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refused
}

// end is called with the lock held.
func (w *waiting) end(one *waiter, s settlement) {
	delete(w.all, one.token)
	s.of = one
	one.settled <- s
}
