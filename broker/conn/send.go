package conn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

// AnyReply accepts every reply.
func AnyReply(*nats.Msg) bool { return true }

// IsNoResponders reports whether a reply is the server's own, which says that there is
// no subscriber.
func IsNoResponders(m *nats.Msg) bool {
	return len(m.Data) == 0 && m.Header.Get("Status") == "503"
}

// Expect prepares for a reply to what will be sent to subject. Replies that accepts
// refuses are left out. The channel has room for one [Reply]; o observes what does not
// count. It fails while NATS refuses the inbox.
func (c *Conn) Expect(subject string, accepts func(*nats.Msg) bool, replies chan Reply, o *Observer) (*PendingReply, error) {
	c = c.current()
	one := &PendingReply{conn: c, token: newToken(), subject: subject, accepts: accepts, replies: replies, observer: cmp.Or(o, c.observer)}
	if err := c.pending.add(one); err != nil {
		return nil, err
	}
	return one, nil
}

// Cancel ends the waiting, and reports false when it had ended: then the [Reply] lies
// in its channel.
func (p *PendingReply) Cancel() bool { return p.conn.pending.remove(p) }

// CancelLate ends the waiting; a reply that comes all the same is late.
func (p *PendingReply) CancelLate() { p.conn.pending.forget(p, late) }

// CancelSurplus ends the waiting; a reply that comes all the same is in order, since
// another attempt of the same message had one.
func (p *PendingReply) CancelSurplus() { p.conn.pending.forget(p, surplus) }

// Restore waits again after the connection dropped: the inbox is the same, and the
// reply may come all the same.
func (p *PendingReply) Restore() { p.conn.pending.restore(p) }

// Send sends m, to be replied to p, and returns when ctx ends at the latest. An error
// other than that of ctx means that nothing was sent.
//
// The client may be writing to a peer that reads nothing, and holds its lock
// meanwhile, for writeTimeout at most; those who only want to send wait for the
// lock, whatever their deadline. So another goroutine waits for it, and sends m late
// when ctx ended meanwhile.
func (p *PendingReply) Send(ctx context.Context, m *nats.Msg) error {
	sent := make(chan error, 1)
	go func() { sent <- p.conn.send(ctx, m, p) }()
	select {
	case err := <-sent:
		return err
	case <-ctx.Done():
		return ContextError(ctx)
	}
}

// send gives m to the client.
func (c *Conn) send(ctx context.Context, m *nats.Msg, one *PendingReply) error {
	// Before the first connect nats.go takes the server for one without
	// headers and says so.
	switch {
	case c.closed.Load():
		return errClosed
	case !c.up.Load():
		return visit.ErrDisconnected
	}
	if ctx.Err() != nil {
		return ContextError(ctx)
	}
	addressed := *m // an earlier attempt may still be being sent
	addressed.Reply = c.inbox + one.token
	c.pending.sending(one)
	err := c.nc.PublishMsg(&addressed)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: NATS accepts at most %d bytes", visit.ErrTooLarge, c.nc.MaxPayload())
	case errors.Is(err, nats.ErrBadSubject):
		return err
	default:
		return visit.ErrDisconnected
	}
}

// receive delivers a reply.
func (c *Conn) receive(m *nats.Msg) {
	became, o, subject := c.pending.deliver(strings.TrimPrefix(m.Subject, c.inbox), m)
	cmp.Or(o, c.observer).observe(became, subject, m)
}

// Request sends m and waits for a reply. It ends at once when the connection drops or
// NATS refuses the subject.
func (c *Conn) Request(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	replies := make(chan Reply, 1)
	one, err := c.Expect(m.Subject, AnyReply, replies, nil)
	if err != nil {
		return nil, err
	}
	if err := one.Send(ctx, m); err != nil {
		one.Cancel()
		return nil, err
	}
	select {
	case r := <-replies:
		return r.Msg, r.Err
	case <-ctx.Done():
	}
	if one.Cancel() {
		return nil, ContextError(ctx)
	}
	r := <-replies
	return r.Msg, r.Err
}
