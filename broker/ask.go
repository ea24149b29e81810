package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// respondersPause is after what time deciders that were not back are asked again,
	// after the connection dropped.
	respondersPause = 50 * time.Millisecond
	// maxAttempts bounds how often one request is sent, where the connection
	// drops again and again. The last is for half of the time.
	maxAttempts = 32
)

// Ask sends a check-in request to a decider and returns its decision. Without one, its
// error is one of
//
//   - visit.ErrNoDecider: there is no subscriber, known within a millisecond or so;
//   - visit.ErrTimeout: the deadline of ctx passed;
//   - visit.ErrDisconnected: there is no connection, and there has been none for a
//     second;
//   - visit.ErrDenied: NATS refuses the subject or the replies to the relay's user;
//   - visit.ErrTooLarge: the request exceeds NATS' limit;
//   - visit.ErrBadReply: the reply was an error or an invalid decision;
//   - the error of ctx when it was cancelled.
//
// It goes by the connection for check-in requests, and by the other one when that is
// down or brought no reply.
//
// A request is sent again, with the number of the attempt in the header
// visit.HeaderAttempt, when half of the time has passed without a reply: NATS gives
// a request to one member of the decider's group, which may be dead without NATS
// knowing. So it is when the connection dropped and is back. The first reply that
// can be read counts.
//
// It is sent with the time that remains in the header visit.HeaderTimeout, and not
// after the deadline (but see the exception of package conn). The time is the
// caller's: a ctx without a deadline waits for as long as the connection stands.
func (b *Broker) Ask(ctx context.Context, request visit.Message) (visit.Decision, error) {
	return ask(ctx, request, b.replies, b.requests, b.events)
}

// ask asks by a connection, or by the other one where that is better; nil for none.
func ask(ctx context.Context, request visit.Message, r *replies, by, other *conn.Conn) (visit.Decision, error) {
	r.expect(request.Subject)
	q := &checkInRequest{conn: by, other: other, counted: r, message: request, replies: conn.NewReplies()}
	defer q.end()
	decision, err := q.decision(ctx)
	if err != nil {
		return visit.Decision{}, fmt.Errorf("ask %s: %w", request.Subject, err)
	}
	return decision, nil
}

// checkInRequest is one request on its way, which may be sent more than once. Each
// attempt has a reply subject of its own, so that its reply is distinguished from a
// duplicate reply to another.
type checkInRequest struct {
	conn *conn.Conn
	// other is a second connection, mostly to another server. Nil for none.
	other    *conn.Conn
	counted  *replies
	message  visit.Message
	attempts []attempt
	replies  *conn.Replies    // of all attempts
	open     int              // attempts whose reply may still come
	returned <-chan time.Time // when deciders that connect anew may be back
	bad      error            // why a reply that came is not a decision
	decided  bool
	// deadline is when the time is over, and half is half of it; zero for never.
	deadline, half time.Time
	// elsewhere is set when no reply came: it may be the server that hangs, which is
	// noticed after some seconds.
	elsewhere bool
}

// decision sends the request and waits for the first reply that can be read.
func (q *checkInRequest) decision(ctx context.Context) (visit.Decision, error) {
	q.deadline, q.half = halfTime(ctx)
	if err := q.send(ctx); err != nil {
		return visit.Decision{}, err
	}
	for {
		if r, ok := q.replies.Take(); ok {
			decision, err := q.take(ctx, r)
			if err != errWaitOn {
				return decision, err
			}
			continue
		}
		select {
		case <-q.replies.Ready():
		case <-q.returned:
			if err := q.send(ctx); err != nil && q.open == 0 {
				return visit.Decision{}, err
			}
		case <-ctx.Done():
			return q.overdue(conn.ContextError(ctx))
		}
	}
}

// halfTime is when the time is over, and half of it; zero for never.
func halfTime(ctx context.Context) (deadline, half time.Time) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return deadline, half
	}
	now := time.Now()
	return deadline, now.Add(deadline.Sub(now) / 2)
}

// errWaitOn is that a reply may still come.
var errWaitOn = errors.New("a reply may still come")

// take takes in what became of an attempt.
func (q *checkInRequest) take(ctx context.Context, r conn.Reply) (visit.Decision, error) {
	sent := q.attemptOf(r.To)
	switch {
	case r.Err == conn.ErrNoReplyYet:
		return visit.Decision{}, q.remind(ctx)
	case sent == nil:
		return visit.Decision{}, errWaitOn
	}
	q.open--
	switch {
	case errors.Is(r.Err, visit.ErrDisconnected):
		return visit.Decision{}, q.dropped(ctx, sent, r.Sent)
	case r.Err == visit.ErrTimeout:
		return q.overdue(r.Err)
	case r.Err != nil:
		return visit.Decision{}, r.Err
	}
	sent.replied = true
	decision, err := readDecision(r.Msg)
	switch {
	case err == nil:
		q.decided = true
		return decision, nil
	case q.bad != nil && !errors.Is(q.bad, visit.ErrNoDecider):
	case errors.Is(err, visit.ErrNoDecider) && q.conn.InGrace() && q.mayBeSentAgain():
		q.returned = time.After(respondersPause)
		return visit.Decision{}, errWaitOn
	default:
		q.bad = err
	}
	if q.open > 0 {
		return visit.Decision{}, errWaitOn
	}
	return visit.Decision{}, q.bad
}

// remind sends the request again when half of the time is over.
func (q *checkInRequest) remind(ctx context.Context) error {
	if q.elsewhere {
		return errWaitOn
	}
	q.elsewhere = true
	// Where that fails, the reply to what was sent before may still come.
	if err := q.sendAgain(ctx, againNoReply); err != nil && q.open == 0 {
		return err
	}
	return errWaitOn
}

// overdue takes a reply that came together with the end of the time. A reply that
// was not a decision says more than that none came.
func (q *checkInRequest) overdue(reason error) (visit.Decision, error) {
	for r, ok := q.replies.Take(); ok; r, ok = q.replies.Take() {
		if r.Err != nil {
			continue
		}
		if decision, err := readDecision(r.Msg); err == nil {
			q.decided = true
			return decision, nil
		}
	}
	if q.bad != nil && !errors.Is(q.bad, visit.ErrNoDecider) && reason == visit.ErrTimeout {
		return visit.Decision{}, q.bad
	}
	return visit.Decision{}, reason
}
