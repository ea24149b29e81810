package broker

import (
	"sync"

	"github.com/nats-io/nats.go"
)

// waiting is the table of those who wait for an answer on one connection. An
// entry leaves it exactly once: settled by an answer or by an error, or removed
// by the one who waited.
type waiting struct {
	mu   sync.Mutex
	last uint64
	all  map[uint64]*waiter
	// refused is set while no answer can arrive at all.
	refused error
}

type waiter struct {
	id      uint64
	subject string
	settled chan settlement // holds one, so that nobody who settles ever blocks
}

// settlement is a reply or an error.
type settlement struct {
	reply *nats.Msg
	err   error
}

func newWaiting() *waiting { return &waiting{all: make(map[uint64]*waiter)} }

// add enters somebody who is about to send to subject.
func (w *waiting) add(subject string) (*waiter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refused != nil {
		return nil, w.refused
	}
	w.last++
	one := &waiter{id: w.last, subject: subject, settled: make(chan settlement, 1)}
	w.all[one.id] = one
	return one, nil
}

// remove reports false when the waiter was settled before: then the settlement
// lies in its channel.
func (w *waiting) remove(one *waiter) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, found := w.all[one.id]
	delete(w.all, one.id)
	return found
}

// settle reports false when nobody waits under the id any more.
func (w *waiting) settle(id uint64, reply *nats.Msg) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	one, found := w.all[id]
	if found {
		w.end(one, settlement{reply: reply})
	}
	return found
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
	delete(w.all, one.id)
	one.settled <- s
}
