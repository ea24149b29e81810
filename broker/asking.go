package broker

import (
	"context"
	"errors"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

const (
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
	link *link
	// other is a second connection, mostly to another server. Nil for none.
	other    *link
	question visit.Message
	attempts []attempt
	replies  chan settlement // of all attempts, each of which has room
	open     int             // attempts whose reply may still come
	bad      error           // why a reply that came is no decision
	decided  bool
	// elsewhere is set when no reply came: it may be the server that hangs, which is
	// noticed after some seconds.
	elsewhere bool
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
			a.elsewhere = true
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
		return visit.Decision{}, a.dropped(ctx, s.of)
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
