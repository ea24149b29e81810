package conn

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

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
