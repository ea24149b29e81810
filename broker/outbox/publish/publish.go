// Package publish puts messages into their streams: one for itself, or, where a server
// syncs each message, several that come at the same time with one sync.
//
// It promises that [Publisher.Publish] returns nil only on the stream's acknowledgement,
// and that what may pass is tried again, with the same message id, until the time is up.
// What becomes of a message that is not stored, and the order of messages, are left to
// others.
package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// resendAfter is when an acknowledgement is given up for lost. A change
	// of the stream's leader swallows what is published meanwhile.
	resendAfter = 500 * time.Millisecond

	firstPause   = 10 * time.Millisecond
	longestPause = 250 * time.Millisecond
)

// Publisher puts messages into their streams. It is safe for concurrent use.
type Publisher struct {
	conn    *conn.Conn
	streams *streams.Reconciler
	groups  map[visit.Root]*group // never changed
	stored  func(visit.Message)
	lastAck atomic.Pointer[time.Time] // when the last message was stored
}

// New returns a publisher, which calls stored with each message that was stored. Messages
// of these roots are stored in groups where that pays.
func New(c *conn.Conn, s *streams.Reconciler, roots []visit.Root, stored func(visit.Message)) *Publisher {
	p := &Publisher{conn: c, streams: s, groups: make(map[visit.Root]*group), stored: stored}
	for _, root := range roots {
		p.groups[root] = newGroup(root, c, s)
	}
	return p
}

// Silent reports whether no message was stored for as long as an acknowledgement takes
// at most: NATS hangs, or the stream has no leader.
func (p *Publisher) Silent() bool {
	last := p.lastAck.Load()
	return last == nil || time.Since(*last) >= resendAfter
}

// GiveUp reports, when an attempt to publish a message of a root has failed, whether others
// would, too, or may not be made any more.
type GiveUp func(root visit.Root, failure error) bool

// Publish tries until the message is stored, cannot be, the deadline, which is before
// that of ctx or zero, or an attempt has failed and giveUp says so, which is asked before
// the next one again. A nil giveUp never does. The errors are those of broker.Publish.
func (p *Publisher) Publish(ctx context.Context, m visit.Message, deadline time.Time, giveUp GiveUp) (visit.Receipt, error) {
	receipt, err := p.Repeat(ctx, m, deadline, giveUp)
	if err == nil {
		p.stored(m)
	}
	return receipt, err
}

// Repeat is [Publisher.Publish] for a message that was stored before, too.
func (p *Publisher) Repeat(ctx context.Context, m visit.Message, deadline time.Time, giveUp GiveUp) (visit.Receipt, error) {
	stream, ok := p.streams.StreamOf(m.Root)
	if !ok {
		return visit.Receipt{}, fmt.Errorf("no stream is configured for the root %q", m.Root)
	}
	header := make(nats.Header, len(m.Header)+1)
	maps.Copy(header, m.Header)
	header[jetstream.ExpectedStreamHeader] = []string{stream}
	if deadline.IsZero() {
		deadline, _ = ctx.Deadline()
	}
	a := attempt{
		publisher: p, stream: stream, deadline: deadline, replies: conn.NewReplies(),
		msg: nats.Msg{Subject: m.Subject, Header: header, Data: m.Data},
	}
	if p.streams.Batches(m.Root) {
		a.group = p.groups[m.Root]
	}
	defer a.cancel()
	before := p.streams.LastAcknowledged(m.Root)
	ack, err := a.retry(ctx, m.Root, giveUp)
	p.streams.Published(m, p.aboutStream(err), err == nil)
	if err != nil {
		return visit.Receipt{}, err
	}
	p.streams.Acknowledged(m.Root, before, ack)
	return visit.Receipt{Stream: ack.Stream, Sequence: ack.Sequence, Duplicate: ack.Duplicate && !a.uncertain}, nil
}

// aboutStream returns what an error says about the stream, or nil: that there was no
// connection, or too little time, says nothing.
func (p *Publisher) aboutStream(err error) error {
	unresponsive := errors.Is(err, visit.ErrTimeout) && p.Silent()
	if unresponsive || errors.Is(err, visit.ErrStreamFull) || errors.Is(err, visit.ErrStreamMissing) || errors.Is(err, visit.ErrDenied) {
		return err
	}
	return nil
}

// errNoResult is that the time was up before anything came of an attempt.
var errNoResult = errors.New("no acknowledgement before the deadline")

func (a *attempt) retry(ctx context.Context, root visit.Root, giveUp GiveUp) (*streams.Ack, error) {
	p := a.publisher
	var last error
	gaveUp := func() bool { return last != nil && giveUp != nil && giveUp(root, last) }
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		if ctx.Err() != nil || !a.deadline.IsZero() && !time.Now().Before(a.deadline) {
			return nil, ended(ctx, last)
		}
		if gaveUp() {
			return nil, last
		}
		connected := p.conn.NextConnect()
		ack, err := a.try(ctx)
		if err == nil {
			now := time.Now()
			p.lastAck.Store(&now)
			return ack, nil
		}
		var passing *streams.Retryable
		switch {
		case err == errNoResult:
			return nil, ended(ctx, last)
		case !errors.As(err, &passing):
			return nil, err
		}
		last = passing.Cause
		if errors.Is(last, visit.ErrStreamMissing) {
			p.streams.Trigger()
		}
		if gaveUp() {
			return nil, last
		}
		if !passing.AtOnce {
			Pause(ctx, a.within(pause), connected)
		}
	}
}

// ended says why nothing was stored in time: the last thing that went wrong, if
// anything did.
func ended(ctx context.Context, last error) error {
	if cancelled := conn.ContextError(ctx); cancelled != nil && !errors.Is(cancelled, visit.ErrTimeout) {
		return cancelled
	}
	return cmp.Or(last, visit.ErrTimeout)
}

// within shortens a pause where the time is up before its end.
func (a *attempt) within(pause time.Duration) time.Duration {
	if a.deadline.IsZero() {
		return pause
	}
	return max(1, min(pause, time.Until(a.deadline)))
}

// Pause waits for about so long, but no longer than until the connection is back.
func Pause(ctx context.Context, pause time.Duration, connected <-chan struct{}) {
	timer := time.NewTimer(pause/2 + rand.N(pause)) // spread, or all who wait come back at once
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-connected:
	case <-ctx.Done():
	}
}
