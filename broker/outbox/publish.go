package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
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

// publisher puts messages into their streams.
type publisher struct {
	conn    *conn.Conn
	streams *streams.Reconciler
	shares  *Shares
	lastAck atomic.Pointer[time.Time] // when the last message was stored
	// unresponsive is set while NATS is connected and acknowledges nothing: it hangs,
	// or the stream has no leader. Then the forwarders try, and nobody else waits.
	unresponsive atomic.Bool
}

// neverGiveUp tries until the context ends.
func neverGiveUp(error) bool { return false }

// publish tries until the message is stored, cannot be, the deadline, which is before
// that of ctx or zero, or an attempt has failed and giveUp says that others would, too.
func (p *publisher) publish(ctx context.Context, m visit.Message, deadline time.Time, giveUp func(error) bool) (visit.Receipt, error) {
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
		conn: p.conn, stream: stream, deadline: deadline, replies: conn.NewReplies(),
		msg: nats.Msg{Subject: m.Subject, Header: header, Data: m.Data},
	}
	defer a.cancel()
	receipt, err := p.retry(ctx, &a, giveUp)
	if err == nil && m.Root == visit.RootQuarantine {
		p.shares.stored(m)
	}
	p.streams.Published(m, p.aboutStream(err), err == nil)
	return receipt, err
}

// aboutStream returns what an error says about the stream, or nil: that there was no
// connection, or too little time, says nothing.
func (p *publisher) aboutStream(err error) error {
	unresponsive := errors.Is(err, visit.ErrTimeout) && p.sinceAck() >= resendAfter
	if unresponsive || errors.Is(err, visit.ErrStreamFull) || errors.Is(err, visit.ErrStreamMissing) || errors.Is(err, visit.ErrDenied) {
		return err
	}
	return nil
}

func (p *publisher) retry(ctx context.Context, a *attempt, giveUp func(error) bool) (visit.Receipt, error) {
	var last error
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		if a.over(ctx) {
			return visit.Receipt{}, ended(ctx, last)
		}
		connected := p.conn.NextConnect()
		ack, err := p.attempt(ctx, a)
		if err == nil {
			p.acknowledged()
			return a.receipt(ack), nil
		}
		var passing *streams.Retryable
		switch {
		case err == errNoResult:
			return visit.Receipt{}, ended(ctx, last)
		case !errors.As(err, &passing):
			return visit.Receipt{}, err
		}
		last = passing.Cause
		if errors.Is(last, visit.ErrStreamMissing) {
			p.streams.Trigger()
		}
		if giveUp(last) {
			return visit.Receipt{}, last
		}
		if !passing.AtOnce {
			sleep(ctx, a.within(pause), connected)
		}
	}
}

// attempt makes one attempt, and takes an acknowledgement for nothing where the server
// in this process says that what it stores will not last.
func (p *publisher) attempt(ctx context.Context, a *attempt) (*streams.Ack, error) {
	if err := p.streams.StoreFault(a.stream); err != nil {
		return nil, &streams.Retryable{Cause: err}
	}
	ack, err := a.try(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.streams.StoreFault(a.stream); err != nil {
		a.uncertain = true
		return nil, &streams.Retryable{Cause: err}
	}
	return ack, nil
}

func (p *publisher) acknowledged() {
	now := time.Now()
	p.lastAck.Store(&now)
}

// sinceAck is for how long no message was stored.
func (p *publisher) sinceAck() time.Duration {
	if last := p.lastAck.Load(); last != nil {
		return time.Since(*last)
	}
	return math.MaxInt64
}

// ended says why nothing was stored in time: the last thing that went wrong, if
// anything did.
func ended(ctx context.Context, last error) error {
	if cancelled := conn.ContextError(ctx); cancelled != nil && !errors.Is(cancelled, visit.ErrTimeout) {
		return cancelled
	}
	return cmp.Or(last, visit.ErrTimeout)
}

// sleep waits for about the pause, but no longer than until the connection is back.
func sleep(ctx context.Context, pause time.Duration, connected <-chan struct{}) {
	timer := time.NewTimer(pause/2 + rand.N(pause)) // spread, or all who wait come back at once
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-connected:
	case <-ctx.Done():
	}
}

// errNoResult is that the time was up before anything came of an attempt.
var errNoResult = errors.New("no acknowledgement before the deadline")

// attempt is one message on its way into its stream, which may be sent more than once.
type attempt struct {
	conn   *conn.Conn
	stream string
	msg    nats.Msg

	pending *conn.PendingReply // kept while there is no reply, so that a slow one still counts
	replies *conn.Replies
	// deadline ends the attempts before the context does, where it is not zero.
	deadline time.Time
	// uncertain is set once something was sent and no reply came: then a duplicate may
	// be of our own making.
	uncertain bool
	// queued is set while it was not sent yet: the peer reads nothing.
	queued bool
}

// over reports whether the time is up.
func (a *attempt) over(ctx context.Context) bool {
	return ctx.Err() != nil || !a.deadline.IsZero() && !time.Now().Before(a.deadline)
}

// within shortens a pause where the time is up before its end.
func (a *attempt) within(pause time.Duration) time.Duration {
	if a.deadline.IsZero() {
		return pause
	}
	return max(1, min(pause, time.Until(a.deadline)))
}

// try sends the message once and waits for a reply to this or an earlier try.
func (a *attempt) try(ctx context.Context) (*streams.Ack, error) {
	if err := a.send(); err != nil {
		return nil, err
	}
	r, ok := a.replies.Next(ctx)
	switch {
	case !ok:
		return nil, errNoResult
	case r.Err == conn.ErrNoReplyYet:
		a.uncertain, a.queued = a.uncertain || r.Sent, !r.Sent
		return nil, &streams.Retryable{Cause: visit.ErrTimeout, AtOnce: true}
	}
	a.pending, a.queued = nil, false
	return a.classify(r)
}

func (a *attempt) send() error {
	remind := time.Now().Add(resendAfter)
	if a.pending == nil {
		one, err := a.conn.Expect(conn.Expectation{
			Subject: a.msg.Subject, Accepts: acksOf(a.stream), Replies: a.replies, Deadline: a.deadline, Remind: remind,
		})
		if err != nil {
			return err
		}
		a.pending = one
	} else {
		a.pending.RemindAt(remind)
	}
	if !a.queued {
		a.pending.Send(&a.msg)
	}
	return nil
}

// acksOf accepts a stream's replies, and NATS' own. It outlives the message.
func acksOf(stream string) func(*nats.Msg) bool {
	return func(reply *nats.Msg) bool {
		if conn.IsNoResponders(reply) {
			return true
		}
		_, err := streams.ParseAck(reply.Data, stream)
		return err != streams.ErrNoAck
	}
}

// classify says what a reply means for the message.
func (a *attempt) classify(r conn.Reply) (*streams.Ack, error) {
	a.uncertain = a.uncertain || r.Sent && r.Err != nil
	switch {
	case r.Err == visit.ErrDisconnected:
		return nil, &streams.Retryable{Cause: r.Err}
	case r.Err == visit.ErrTimeout:
		return nil, errNoResult
	case r.Err != nil:
		return nil, r.Err
	case conn.IsNoResponders(r.Msg):
		return nil, &streams.Retryable{Cause: fmt.Errorf("%w: expected %s", visit.ErrStreamMissing, a.stream)}
	}
	return streams.ParseAck(r.Msg.Data, a.stream)
}

// cancel forgets whatever replies are still to come.
func (a *attempt) cancel() {
	if a.pending != nil {
		a.pending.Cancel()
	}
}

func (a *attempt) receipt(ack *streams.Ack) visit.Receipt {
	return visit.Receipt{Stream: ack.Stream, Sequence: ack.Sequence, Duplicate: ack.Duplicate && !a.uncertain}
}
