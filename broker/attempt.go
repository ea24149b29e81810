package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/visit"
)

// Why a request is sent again.
const (
	againNoReply      = "no_reply"
	againDisconnected = "disconnected"
)

// attempt is a request that was sent.
type attempt struct {
	*conn.PendingReply
	replied bool
}

// dropped asks again once the connection is back, unless that was done since. A reply
// to what was sent before still counts: the inbox is the same.
func (q *checkInRequest) dropped(ctx context.Context, by *attempt, sent bool) error {
	newest := false // of those without a reply
	for _, other := range q.attempts {
		newest = other.PendingReply == by.PendingReply || newest && other.replied
	}
	if sent {
		by.Restore()
		q.open++
	} else {
		q.attempts = slices.DeleteFunc(q.attempts, func(a attempt) bool { return a.PendingReply == by.PendingReply })
	}
	switch {
	case !newest:
		return errWaitOn
	case !q.mayBeSentAgain():
		return visit.ErrDisconnected
	}
	if err := q.sendAgain(ctx, againDisconnected); err != nil {
		return err
	}
	return errWaitOn
}

// attemptOf returns the attempt of a pending reply, or nil.
func (q *checkInRequest) attemptOf(one *conn.PendingReply) *attempt {
	for i := range q.attempts {
		if q.attempts[i].PendingReply == one {
			return &q.attempts[i]
		}
	}
	return nil
}

func (q *checkInRequest) mayBeSentAgain() bool { return len(q.attempts) < maxAttempts-1 }

func (q *checkInRequest) sendAgain(ctx context.Context, reason string) error {
	err := q.send(ctx)
	if err == nil {
		q.counted.repeated(q.message.Subject, reason)
	}
	return err
}

// send makes one attempt. Without a connection it waits for one, if there was one a
// moment ago.
func (q *checkInRequest) send(ctx context.Context) error {
	q.returned = nil
	for {
		err := q.try(ctx)
		if !errors.Is(err, visit.ErrDisconnected) || !q.conn.Regained(ctx) {
			return err
		}
	}
}

// by is the connection for the next attempt.
func (q *checkInRequest) by() *conn.Conn {
	if q.other != nil && q.other.Connected() && (q.elsewhere || !q.conn.Connected()) {
		return q.other
	}
	return q.conn
}

func (q *checkInRequest) try(ctx context.Context) error {
	by := q.by()
	if !by.Connected() {
		return visit.ErrDisconnected
	}
	header, err := attemptHeader(ctx, q.message.Header, len(q.attempts)+1)
	if err != nil {
		return err
	}
	expected := conn.Expectation{
		Subject: q.message.Subject, Accepts: isNoAcknowledgement, Replies: q.replies, Observer: q.counted.ofDeciders, Deadline: q.deadline,
	}
	if !q.elsewhere {
		expected.Remind = q.half
	}
	one, err := by.Expect(expected)
	if err != nil {
		return err
	}
	q.attempts = append(q.attempts, attempt{PendingReply: one})
	q.open++
	one.Send(&nats.Msg{Subject: q.message.Subject, Header: header, Data: q.message.Data})
	return nil
}

// end forgets whatever replies are still to come. Where one counted, the others are
// not late.
func (q *checkInRequest) end() {
	for _, one := range q.attempts {
		if q.decided {
			one.CancelSurplus()
		} else {
			one.CancelLate()
		}
	}
}

// attemptHeader returns a copy of the header for one attempt, with the milliseconds
// that remain.
func attemptHeader(ctx context.Context, header map[string][]string, attempt int) (nats.Header, error) {
	if ctx.Err() != nil {
		return nil, conn.ContextError(ctx)
	}
	own := make(nats.Header, len(header)+2)
	maps.Copy(own, header)
	if attempt > 1 {
		own[visit.HeaderAttempt] = []string{strconv.Itoa(attempt)}
	}
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline).Milliseconds()
		if left <= 0 {
			return nil, visit.ErrTimeout
		}
		own[visit.HeaderTimeout] = []string{strconv.FormatInt(left, 10)}
	}
	return own, nil
}

// headerServiceError is on the error replies of NATS micro services.
const headerServiceError = "Nats-Service-Error-Code"

// readDecision quotes nothing of the reply, which may hold personal data.
func readDecision(reply *nats.Msg) (visit.Decision, error) {
	if conn.IsNoResponders(reply) {
		return visit.Decision{}, visit.ErrNoDecider
	}
	decision, err := visit.ParseDecision(reply.Data)
	// A rejection is one, whatever is wrong beside it.
	if code := reply.Header.Get(headerServiceError); code != "" && decision.Verdict != visit.Reject {
		n, err := strconv.Atoi(code)
		if err != nil {
			return visit.Decision{}, fmt.Errorf("%w: the decider reports an error", visit.ErrBadReply)
		}
		return visit.Decision{}, fmt.Errorf("%w: the decider reports error %d", visit.ErrBadReply, n)
	}
	if err != nil {
		return visit.Decision{}, fmt.Errorf("%w: %w", visit.ErrBadReply, err)
	}
	return decision, nil
}
