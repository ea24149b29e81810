package broker

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

// attempt is who waits for its reply, on which connection.
type attempt struct {
	*waiter
	link *link
}

// dropped asks again once the connection is back, unless that was done since. A reply
// to what was sent before still counts: the inbox is the same.
func (a *asking) dropped(ctx context.Context, one *waiter) error {
	last := a.attempts[len(a.attempts)-1].waiter
	for _, sent := range a.attempts {
		if sent.waiter == one {
			sent.link.waiting.restore(one)
			a.open++
		}
	}
	switch {
	case one != last:
		return errWaitOn
	case len(a.attempts) >= maxAttempts-1:
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
		err := a.try(ctx)
		if !errors.Is(err, visit.ErrDisconnected) || !a.link.regained(ctx) {
			return err
		}
	}
}

// by is the connection for the next attempt.
func (a *asking) by() *link {
	if a.other != nil && a.other.stands() && (a.elsewhere || !a.link.stands()) {
		return a.other.current()
	}
	return a.link.current()
}

func (a *asking) try(ctx context.Context) error {
	link := a.by()
	header, err := attemptHeader(ctx, a.question.Header, len(a.attempts)+1)
	if err != nil {
		return err
	}
	one, err := link.waiting.add(a.question.Subject, isNoAcknowledgement, a.replies, a.link.hears)
	if err != nil {
		return err
	}
	m := &nats.Msg{Subject: a.question.Subject, Header: header, Data: a.question.Data}
	if err := link.post(ctx, m, one); err != nil {
		link.waiting.remove(one)
		return err
	}
	a.attempts = append(a.attempts, attempt{one, link})
	a.open++
	return nil
}

// end forgets whatever replies are still to come. Where one counted, the others are
// not late.
func (a *asking) end() {
	then := stray
	if a.decided {
		then = spare
	}
	for _, one := range a.attempts {
		one.link.waiting.forget(one.waiter, then)
	}
}
