package broker

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

// attempt is who waits for its reply, on which connection.
type attempt struct {
	*waiter
	link    *link
	replied bool
}

// dropped asks again once the connection is back, unless that was done since. A reply
// to what was sent before still counts: the inbox is the same.
func (a *asking) dropped(ctx context.Context, sent *attempt) error {
	sent.link.waiting.restore(sent.waiter)
	a.open++
	newest := false // of those without a reply
	for _, other := range a.attempts {
		newest = other.waiter == sent.waiter || newest && other.replied
	}
	switch {
	case !newest:
		return errWaitOn
	case !a.mayBeSentAgain():
		return visit.ErrDisconnected
	}
	if err := a.sendAgain(ctx, againDisconnected); err != nil {
		return err
	}
	return errWaitOn
}

// attemptOf returns the attempt that waits as one, or nil.
func (a *asking) attemptOf(one *waiter) *attempt {
	for i := range a.attempts {
		if a.attempts[i].waiter == one {
			return &a.attempts[i]
		}
	}
	return nil
}

func (a *asking) mayBeSentAgain() bool { return len(a.attempts) < maxAttempts-1 }

func (a *asking) sendAgain(ctx context.Context, reason string) error {
	err := a.send(ctx)
	if err == nil {
		a.link.repeated(a.question.Subject, reason)
	}
	return err
}

// send makes one attempt. Without a connection it waits for one, if there was one a
// moment ago.
func (a *asking) send(ctx context.Context) error {
	a.returned.Stop()
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
	a.attempts = append(a.attempts, attempt{waiter: one, link: link})
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
