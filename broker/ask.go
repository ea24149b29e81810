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
//   - visit.ErrDisconnected: there is no connection, or it dropped, known at once;
//   - visit.ErrDenied: NATS refuses the subject or the answers to the relay's user;
//   - visit.ErrTooLarge: the question exceeds NATS' limit;
//   - visit.ErrBadReply: the answer was an error or not a decision;
//   - the error of ctx when it was cancelled.
//
// A question is sent at most once, with the time that remains in the header
// visit.HeaderTimeout, and not after the deadline (but see the package's one
// exception). The time is the caller's: a ctx without a deadline waits for as long
// as the connection stands.
func (b *Broker) Ask(ctx context.Context, question visit.Message) (visit.Decision, error) {
	b.seconds.expect(question.Subject)
	return b.door.ask(ctx, question)
}

func (l *link) ask(ctx context.Context, question visit.Message) (visit.Decision, error) {
	decision, err := l.decision(ctx, question)
	if err != nil {
		return visit.Decision{}, fmt.Errorf("ask %s: %w", question.Subject, err)
	}
	return decision, nil
}

func (l *link) decision(ctx context.Context, question visit.Message) (visit.Decision, error) {
	header, err := timed(ctx, question.Header)
	if err != nil {
		return visit.Decision{}, err
	}
	reply, err := l.request(ctx, &nats.Msg{Subject: question.Subject, Header: header, Data: question.Data}, isNoAcknowledgement)
	if err != nil {
		return visit.Decision{}, err
	}
	return readDecision(reply)
}

// timed returns a copy of the header with the milliseconds that remain.
func timed(ctx context.Context, header map[string][]string) (nats.Header, error) {
	if ctx.Err() != nil {
		return nil, over(ctx)
	}
	timed := make(nats.Header, len(header)+1)
	maps.Copy(timed, header)
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline).Milliseconds()
		if left <= 0 {
			return nil, visit.ErrTimeout
		}
		timed[visit.HeaderTimeout] = []string{strconv.FormatInt(left, 10)}
	}
	return timed, nil
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
