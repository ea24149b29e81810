package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
func (q *checkInRequest) dropped(ctx context.Context, sent *attempt) error {
	sent.Restore()
	q.open++
	newest := false // of those without a reply
	for _, other := range q.attempts {
		newest = other.PendingReply == sent.PendingReply || newest && other.replied
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
	q.returned.Stop()
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
	header, err := attemptHeader(ctx, q.message.Header, len(q.attempts)+1)
	if err != nil {
		return err
	}
	one, err := q.by().Expect(q.message.Subject, isNoAcknowledgement, q.replies, q.counted.ofDeciders)
	if err != nil {
		return err
	}
	if err := one.Send(ctx, &nats.Msg{Subject: q.message.Subject, Header: header, Data: q.message.Data}); err != nil {
		one.Cancel()
		return err
	}
	q.attempts = append(q.attempts, attempt{PendingReply: one})
	q.open++
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
