package broker

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	// reconnectGrace is for how long after a connection dropped a question waits
	// for it to be back, and "no responders" is not believed: deciders connect
	// anew, too. In a cluster both take milliseconds.
	reconnectGrace = time.Second
	// respondersPause is between two attempts meanwhile.
	respondersPause = 50 * time.Millisecond
	// maxAttempts bounds how often one question is sent, where the connection
	// drops again and again. The last is for half of the time.
	maxAttempts = 32
)

// Why a question is sent again.
const (
	againNoReply      = "no_reply"
	againDisconnected = "disconnected"
)

// asking is one question on its way, which may be sent more than once. Each attempt
// has a reply subject of its own, so that its reply is told from a second one to
// another.
type asking struct {
	link     *link
	question visit.Message
	attempts []*waiter
	replies  chan settlement // of all attempts
	open     int             // attempts whose reply may still come
	bad      error           // why a reply that came is no decision
	decided  bool
}

// decision sends the question and waits for the first reply that can be read.
func (a *asking) decision(ctx context.Context) (visit.Decision, error) {
	if err := a.send(ctx); err != nil {
		return visit.Decision{}, err
	}
	half := halfTime(ctx)
	defer half.Stop()
	for {
		select {
		case s := <-a.replies:
			decision, err := a.settled(ctx, s)
			if err != errWaitOn {
				return decision, err
			}
		case <-half.C:
			if err := a.sendAgain(ctx, againNoReply); err != nil {
				return visit.Decision{}, err
			}
		case <-ctx.Done():
			return a.overdue(ctx)
		}
	}
}

// halfTime fires when half of the time is over.
func halfTime(ctx context.Context) *time.Timer {
	deadline, ok := ctx.Deadline()
	if !ok {
		never := time.NewTimer(time.Hour)
		never.Stop()
		return never
	}
	return time.NewTimer(time.Until(deadline) / 2)
}

// errWaitOn is that a reply may still come.
var errWaitOn = errors.New("a reply may still come")

// settled takes in what became of an attempt.
func (a *asking) settled(ctx context.Context, s settlement) (visit.Decision, error) {
	a.open--
	switch {
	case errors.Is(s.err, visit.ErrDisconnected):
		return visit.Decision{}, a.askAnew(ctx)
	case s.err != nil:
		return visit.Decision{}, s.err
	}
	decision, err := readDecision(s.reply)
	switch {
	case err == nil:
		a.decided = true
		return decision, nil
	case errors.Is(err, visit.ErrNoDecider) && a.open == 0 && a.bad == nil && a.link.settling() > 0:
		return visit.Decision{}, a.askThoseWhoReturn(ctx)
	case a.bad == nil || errors.Is(a.bad, visit.ErrNoDecider):
		a.bad = err
	}
	if a.open > 0 {
		return visit.Decision{}, errWaitOn
	}
	return visit.Decision{}, a.bad
}

// overdue takes a reply that came together with the end of the time. A reply that
// was no decision says more than that none came.
func (a *asking) overdue(ctx context.Context) (visit.Decision, error) {
	for {
		select {
		case s := <-a.replies:
			if s.err != nil {
				continue
			}
			if decision, err := readDecision(s.reply); err == nil {
				a.decided = true
				return decision, nil
			}
		default:
			if a.bad != nil && !errors.Is(a.bad, visit.ErrNoDecider) && over(ctx) == visit.ErrTimeout {
				return visit.Decision{}, a.bad
			}
			return visit.Decision{}, over(ctx)
		}
	}
}

// askAnew asks again once the connection is back. Replies to what was sent before
// still count: the inbox is the same.
func (a *asking) askAnew(ctx context.Context) error {
	a.replies, a.open = make(chan settlement, maxAttempts), 0
	for _, one := range a.attempts {
		if a.link.waiting.restore(one, a.replies) {
			a.open++
		}
	}
	if len(a.attempts) == maxAttempts-1 {
		return visit.ErrDisconnected
	}
	if err := a.sendAgain(ctx, againDisconnected); err != nil {
		return err
	}
	return errWaitOn
}

func (a *asking) sendAgain(ctx context.Context, reason string) error {
	err := a.send(ctx)
	if err == nil {
		a.link.repeated(a.question.Subject, reason)
	}
	return err
}

// askThoseWhoReturn asks again after a moment.
func (a *asking) askThoseWhoReturn(ctx context.Context) error {
	pause := time.NewTimer(respondersPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return over(ctx)
	}
	if len(a.attempts) == maxAttempts-1 {
		return visit.ErrNoDecider
	}
	if err := a.send(ctx); err != nil {
		return err
	}
	return errWaitOn
}

// send makes one attempt. Without a connection it waits for one, if there was one a
// moment ago.
func (a *asking) send(ctx context.Context) error {
	for {
		err := a.attempt(ctx)
		if !errors.Is(err, visit.ErrDisconnected) || !a.link.regained(ctx) {
			return err
		}
	}
}

func (a *asking) attempt(ctx context.Context) error {
	header, err := attemptHeader(ctx, a.question.Header, len(a.attempts)+1)
	if err != nil {
		return err
	}
	one, err := a.link.waiting.add(a.question.Subject, isNoAcknowledgement, a.replies)
	if err != nil {
		return err
	}
	m := &nats.Msg{Subject: a.question.Subject, Header: header, Data: a.question.Data}
	if err := a.link.post(ctx, m, one); err != nil {
		a.link.waiting.remove(one)
		return err
	}
	a.attempts = append(a.attempts, one)
	a.open++
	return nil
}

// end forgets whatever replies are still to come. Where one counted, the others are
// not late.
func (a *asking) end() {
	for _, one := range a.attempts {
		if a.decided {
			a.link.waiting.spare(one)
		} else {
			a.link.waiting.remove(one)
		}
	}
}
