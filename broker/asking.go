package broker

import (
	"context"
	"errors"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	// respondersPause is after what time those who were not back are asked again, after
	// the connection dropped.
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
	link *link
	// other is a second connection, mostly to another server. Nil for none.
	other    *link
	question visit.Message
	attempts []attempt
	replies  chan settlement // of all attempts, each of which has room
	open     int             // attempts whose reply may still come
	returned *time.Timer     // when those who connect anew may be back
	bad      error           // why a reply that came is no decision
	decided  bool
	// elsewhere is set when no reply came: it may be the server that hangs, which is
	// noticed after some seconds.
	elsewhere bool
}

// decision sends the question and waits for the first reply that can be read.
func (a *asking) decision(ctx context.Context) (visit.Decision, error) {
	a.returned = stoppedTimer()
	defer a.returned.Stop()
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
			a.elsewhere = true
			// Where that fails, the reply to what was sent before may still come.
			if err := a.sendAgain(ctx, againNoReply); err != nil && a.open == 0 {
				return visit.Decision{}, err
			}
		case <-a.returned.C:
			if err := a.send(ctx); err != nil && a.open == 0 {
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
		return stoppedTimer()
	}
	return time.NewTimer(time.Until(deadline) / 2)
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// errWaitOn is that a reply may still come.
var errWaitOn = errors.New("a reply may still come")

// settled takes in what became of an attempt.
func (a *asking) settled(ctx context.Context, s settlement) (visit.Decision, error) {
	sent := a.attemptOf(s.of)
	if sent == nil {
		return visit.Decision{}, errWaitOn // the connection dropped before it was sent
	}
	a.open--
	switch {
	case errors.Is(s.err, visit.ErrDisconnected):
		return visit.Decision{}, a.dropped(ctx, sent)
	case s.err != nil:
		return visit.Decision{}, s.err
	}
	sent.replied = true
	decision, err := readDecision(s.reply)
	switch {
	case err == nil:
		a.decided = true
		return decision, nil
	case a.bad != nil && !errors.Is(a.bad, visit.ErrNoDecider):
	case errors.Is(err, visit.ErrNoDecider) && a.link.settling() > 0 && a.mayBeSentAgain():
		a.returned.Reset(respondersPause)
		return visit.Decision{}, errWaitOn
	default:
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
