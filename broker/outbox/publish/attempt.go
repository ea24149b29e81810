package publish

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/visit"
)

// attempt is one message on its way into its stream, which may be sent more than once.
type attempt struct {
	publisher *Publisher
	stream    string
	msg       nats.Msg

	pending *conn.PendingReply // kept while there is no reply, so that a slow one still counts
	replies *conn.Replies
	sentAt  time.Time
	// deadline ends the attempts before the context does, where it is not zero.
	deadline time.Time
	// uncertain is set once something was sent and no reply came: then a duplicate may
	// be of our own making.
	uncertain bool
	// queued is set while it was not sent yet: the peer reads nothing.
	queued bool

	group *group // nil where each message is stored alone
	holds atomic.Bool
	alone bool // because it was tried in a batch before
}

// try makes one attempt, and takes an acknowledgement for nothing where the server in
// this process says that what it stores will not last.
func (a *attempt) try(ctx context.Context) (*streams.Ack, error) {
	if err := a.publisher.streams.StoreFault(a.stream); err != nil {
		return nil, &streams.Retryable{Cause: err}
	}
	ack, err := a.exchange(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.publisher.streams.StoreFault(a.stream); err != nil {
		a.uncertain = true
		return nil, &streams.Retryable{Cause: err}
	}
	return ack, nil
}

// exchange sends the message once and waits for a reply to this or an earlier try.
func (a *attempt) exchange(ctx context.Context) (*streams.Ack, error) {
	for {
		if err := a.send(); err != nil {
			return nil, err
		}
		r, ok := a.next(ctx)
		a.leaveGroup()
		switch {
		case !ok:
			return nil, errNoResult
		case r.Err == conn.ErrNoReplyYet:
			a.notYet(r)
			return nil, &streams.Retryable{Cause: visit.ErrTimeout, AtOnce: true}
		}
		a.pending, a.queued = nil, false
		if r.Err != errAlone {
			return a.classify(r)
		}
		a.alone, a.uncertain = true, a.uncertain || r.Sent
	}
}

func (a *attempt) send() error {
	a.sentAt = time.Now()
	remind := a.sentAt.Add(resendAfter)
	if a.pending == nil {
		one, err := a.publisher.conn.Expect(conn.Expectation{
			Subject: a.msg.Subject, Accepts: acksOf(a.stream), Replies: a.replies, Deadline: a.deadline, Remind: remind,
		})
		if err != nil {
			return err
		}
		a.pending = one
	} else {
		a.pending.RemindAt(remind)
	}
	m := member{a.pending, a.msg, a.stream, idOf(&a.msg), a.deadline, &a.holds}
	switch {
	case a.queued:
	case a.group == nil || a.alone:
		m.sendAlone()
	default:
		a.group.enter(m)
	}
	return nil
}

// acksOf accepts a stream's replies, and NATS' own. It outlives the message.
func acksOf(stream string) func(*nats.Msg) bool {
	return func(reply *nats.Msg) bool {
		if conn.IsNoResponders(reply) {
			return true
		}
		_, err := streams.ParseAck(reply.Data, stream)
		return err != streams.ErrNoAck
	}
}

// next waits for a reply, but no longer than until it is time for another try.
func (a *attempt) next(ctx context.Context) (conn.Reply, bool) {
	for {
		r, ok := a.replies.Next(ctx)
		switch {
		case ok && r.To != a.pending: // a reminder of an earlier one
		case r.Err == conn.ErrNoReplyYet && a.leaveGroup():
			a.pending.RemindAt(a.sentAt.Add(resendAfter))
		default:
			return r, ok
		}
	}
}

// notYet takes in that there was no reply for a while. What still waits for its batch
// goes alone.
func (a *attempt) notYet(r conn.Reply) {
	a.uncertain, a.queued = a.uncertain || r.Sent, !r.Sent
	if a.group != nil && !a.alone {
		a.alone = true
		if !r.Sent && a.pending.Cancel() {
			a.pending, a.queued = nil, false
		}
	}
}

// leaveGroup lets others go on, and reports whether it held them up.
func (a *attempt) leaveGroup() bool {
	held := a.holds.Swap(false)
	if held {
		a.group.leave()
	}
	return held
}

// classify says what a reply means for the message.
func (a *attempt) classify(r conn.Reply) (*streams.Ack, error) {
	a.uncertain = a.uncertain || r.Sent && r.Err != nil
	switch {
	case r.Err == visit.ErrDisconnected:
		return nil, &streams.Retryable{Cause: r.Err}
	case r.Err == visit.ErrTimeout:
		return nil, errNoResult
	case r.Err != nil:
		return nil, r.Err
	case r.Value != nil:
		return r.Value.(*streams.Ack), nil
	case conn.IsNoResponders(r.Msg):
		return nil, &streams.Retryable{Cause: fmt.Errorf("%w: expected %s", visit.ErrStreamMissing, a.stream)}
	}
	return streams.ParseAck(r.Msg.Data, a.stream)
}

// cancel forgets whatever replies are still to come.
func (a *attempt) cancel() {
	if a.pending != nil {
		a.pending.Cancel()
	}
	a.leaveGroup() // after that: it may only now have been sent
}
