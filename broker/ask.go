package broker

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

// Ask puts a question to a decider and returns its decision. Without one, its
// error is one of
//
//   - visit.ErrNoDecider: nobody listens, known within a millisecond or so;
//   - visit.ErrTimeout: the deadline of ctx passed;
//   - visit.ErrDisconnected: there is no connection, and there has been none for a
//     second;
//   - visit.ErrDenied: NATS refuses the subject or the answers to the relay's user;
//   - visit.ErrTooLarge: the question exceeds NATS' limit;
//   - visit.ErrBadReply: the reply was an error or an invalid decision;
//   - the error of ctx when it was cancelled.
//
// It goes by the connection for questions, and by the other one when that is down or
// brought no reply.
//
// A question is sent again, with the number of the attempt in the header
// visit.HeaderAttempt, when half of the time has passed without a reply: NATS gives
// a question to one member of the decider's group, which may be dead without NATS
// knowing. So it is when the connection dropped and is back. The first reply that
// can be read counts.
//
// It is sent with the time that remains in the header visit.HeaderTimeout, and not
// after the deadline (but see the package's one exception). The time is the
// caller's: a ctx without a deadline waits for as long as the connection stands.
func (b *Broker) Ask(ctx context.Context, question visit.Message) (visit.Decision, error) {
	b.seconds.expect(question.Subject)
	return b.door.ask(ctx, question, b.events)
}

// ask asks by l, or by the other connection where that is better.
func (l *link) ask(ctx context.Context, question visit.Message, other *link) (visit.Decision, error) {
	a := &asking{link: l, other: other, question: question, replies: make(chan settlement, maxAttempts)}
	defer a.end()
	decision, err := a.decision(ctx)
	if err != nil {
		return visit.Decision{}, fmt.Errorf("ask %s: %w", question.Subject, err)
	}
	return decision, nil
}

// attemptHeader returns a copy of the header for one attempt, with the milliseconds
// that remain.
func attemptHeader(ctx context.Context, header map[string][]string, attempt int) (nats.Header, error) {
	if ctx.Err() != nil {
		return nil, over(ctx)
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
	if isNoResponders(reply) {
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
