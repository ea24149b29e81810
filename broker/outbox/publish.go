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
	groups  map[visit.Root]*group // never changed
	// acked is called with each message that its stream has acknowledged.
	acked   func(visit.Message)
	lastAck atomic.Pointer[time.Time] // when the last message was stored
	// unresponsive is set while NATS is connected and acknowledges nothing: it hangs,
	// or the stream has no leader. Then the forwarders try, and no caller waits.
	unresponsive atomic.Bool
}

func newPublisher(cfg Config) *publisher {
	p := &publisher{conn: cfg.Conn, streams: cfg.Streams, shares: cfg.Shares, groups: make(map[visit.Root]*group), acked: func(visit.Message) {}}
	for _, root := range roots {
		p.groups[root] = newGroup(root, p.conn, p.streams)
	}
	return p
}

// neverGiveUp tries until the context ends.
func neverGiveUp(error) bool { return false }

// publish tries until the message is stored, cannot be, the deadline, which is before
// that of ctx or zero, or an attempt has failed and giveUp says that others would, too.
func (p *publisher) publish(ctx context.Context, m visit.Message, deadline time.Time, giveUp func(error) bool) (visit.Receipt, error) {
	receipt, err := p.send(ctx, m, deadline, giveUp)
	if err == nil {
		p.acked(m)
	}
	if err == nil && m.Root == visit.RootQuarantine {
		p.shares.stored(m)
	}
	return receipt, err
}

// send is publish for a message that was acknowledged and counted before, too.
func (p *publisher) send(ctx context.Context, m visit.Message, deadline time.Time, giveUp func(error) bool) (visit.Receipt, error) {
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
	if p.streams.Batches(m.Root) {
		a.group = p.groups[m.Root]
	}
	defer a.cancel()
	before := p.streams.LastAcknowledged(m.Root)
	ack, err := p.retry(ctx, &a, giveUp)
	p.streams.Published(m, p.aboutStream(err), err == nil)
	if err != nil {
		return visit.Receipt{}, err
	}
	p.streams.Acknowledged(m.Root, before, ack)
	return a.receipt(ack), nil
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

func (p *publisher) retry(ctx context.Context, a *attempt, giveUp func(error) bool) (*streams.Ack, error) {
	var last error
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		if a.over(ctx) {
			return nil, ended(ctx, last)
		}
		connected := p.conn.NextConnect()
		ack, err := p.attempt(ctx, a)
		if err == nil {
			p.acknowledged()
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
		if giveUp(last) {
			return nil, last
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
