package conn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

// IsNoResponders reports whether a reply is the server's own, which says that there is
// no subscriber.
func IsNoResponders(m *nats.Msg) bool {
	return len(m.Data) == 0 && m.Header.Get("Status") == "503"
}

// Expect prepares for a reply. It fails while NATS refuses the inbox.
func (c *Conn) Expect(e Expectation) (*PendingReply, error) {
	e.Observer = cmp.Or(e.Observer, c.observer)
	for {
		now := c.current()
		one := &PendingReply{Expectation: e, conn: now, token: newToken()}
		if err := now.pending.add(one); err != nil {
			return nil, err
		}
		// Meanwhile the connection may have moved, and found nothing pending where it was.
		if c.current() == now || !now.pending.remove(one) {
			return one, nil
		}
	}
}

// Cancel ends the waiting, and reports false when it had ended. What was not sent yet
// is not sent.
func (p *PendingReply) Cancel() bool { return p.conn.pending.remove(p) }

// CancelLate ends the waiting; a reply that comes all the same is late.
func (p *PendingReply) CancelLate() { p.conn.pending.forget(p, late) }

// CancelSurplus ends the waiting; a reply that comes all the same is in order, since
// another attempt of the same message had one.
func (p *PendingReply) CancelSurplus() { p.conn.pending.forget(p, surplus) }

// Restore waits again after the connection dropped: the inbox is the same, and the
// reply may come all the same.
func (p *PendingReply) Restore() { p.conn.pending.restore(p) }

// RemindAt has the owner reminded once more, and reports false when the waiting had
// ended.
func (p *PendingReply) RemindAt(at time.Time) bool { return p.conn.pending.remindAt(p, at) }

// Send has m sent, to be replied to p, and does not wait for that. It may be called
// again for the same message. The caller leaves m alone from then on.
func (p *PendingReply) Send(m *nats.Msg) {
	p.send(outgoing{pending: p, msg: m})
}

// SendBatch is [PendingReply.Send] for messages that leave one after another, with no
// other in between; the last one is replied to p. They come from a function that is
// called when they leave: it leaves out the messages of whose own pending reply takes
// reports that it is not awaited any more. None is [ErrNothingToSend].
func (p *PendingReply) SendBatch(messages func(takes func(*PendingReply) bool) []*nats.Msg) {
	p.send(outgoing{pending: p, batch: messages})
}

// ErrNothingToSend is what becomes of an empty batch.
var ErrNothingToSend = errors.New("nothing to send")

// Resolve ends the waiting for a message that left in a batch, and reports false when
// it had ended.
func (p *PendingReply) Resolve(r Reply) bool { return p.conn.pending.resolve(p, r) }

func (p *PendingReply) send(o outgoing) {
	if err := p.conn.sendable(); err != nil {
		p.conn.pending.reject(p, err)
		return
	}
	if !p.conn.outgoing.add(o) {
		p.conn.pending.reject(p, errClosed)
	}
}

// sendable says why nothing can be sent now, or nil. Before the first connect nats.go
// takes the server for one without headers and says so.
func (c *Conn) sendable() error {
	switch {
	case c.closed.Load():
		return errClosed
	case !c.up.Load():
		return visit.ErrDisconnected
	default:
		return nil
	}
}

// outgoing is a message that is to be sent, or a batch of them.
type outgoing struct {
	pending *PendingReply
	msg     *nats.Msg
	batch   func(takes func(*PendingReply) bool) []*nats.Msg
}

// collector takes the messages that are to be sent. One writer hands them to the
// client: that may be writing to a peer that reads nothing, and holds its lock
// meanwhile, for dial.WriteTimeout at most, whatever the deadlines of those who wait for
// the lock.
type collector struct {
	mu      sync.Mutex
	waiting []outgoing
	closed  bool
	wake    chan struct{} // holds a token while something waits
}

func newCollector() *collector { return &collector{wake: make(chan struct{}, 1)} }

// add reports false when nothing is sent any more.
func (c *collector) add(o outgoing) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	if c.waiting = append(c.waiting, o); len(c.waiting) == 1 {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// close returns what is not sent any more.
func (c *collector) close() []outgoing {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return c.waiting
}

// swap returns all that waits, and takes the room of what was sent for what comes.
func (c *collector) swap(sent []outgoing) []outgoing {
	clear(sent)
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.waiting
	c.waiting = sent[:0]
	return all
}

// write hands what waits to the client, until the connection is closed. The client
// flushes what it has as soon as it can: what comes together leaves together, and a
// message that is alone leaves at once.
func (c *Conn) write() {
	var batch []outgoing
	for {
		select {
		case <-c.outgoing.wake:
		case <-c.ended.Done():
			for _, one := range c.outgoing.close() {
				c.pending.reject(one.pending, errClosed)
			}
			return
		}
		batch = c.outgoing.swap(batch)
		unannounced := c.up.Load() && c.isUnannounced() // without a connection it might wait for a handshake
		for _, one := range batch {
			c.send(one, unannounced)
		}
	}
}

// send gives one message or batch to the client, unless its reply is not awaited any
// more. To a server that nobody has heard of yet nothing is sent: what it may have lost comes
// first.
func (c *Conn) send(o outgoing, unannounced bool) {
	if !c.pending.handOver(o.pending) {
		return
	}
	err := c.sendable()
	switch {
	case err != nil:
	case unannounced:
		err = visit.ErrDisconnected
	default:
		err = c.publish(o)
	}
	switch {
	case err == nil:
	case errors.Is(err, nats.ErrMaxPayload):
		c.pending.unsent(o.pending, fmt.Errorf("%w: NATS accepts at most %d bytes", visit.ErrTooLarge, c.nc.MaxPayload()))
	case errors.Is(err, nats.ErrBadSubject), err == errClosed, err == ErrNothingToSend:
		c.pending.unsent(o.pending, err)
	default:
		c.pending.unsent(o.pending, visit.ErrDisconnected)
	}
}

func (c *Conn) publish(o outgoing) error {
	if o.batch == nil {
		o.msg.Reply = c.inbox + o.pending.token
		return c.nc.PublishMsg(o.msg)
	}
	all := o.batch(takes)
	if len(all) == 0 {
		return ErrNothingToSend
	}
	all[len(all)-1].Reply = c.inbox + o.pending.token
	for _, m := range all {
		if err := c.nc.PublishMsg(m); err != nil {
			return err
		}
	}
	return nil
}

// takes is for a message that leaves in a batch.
func takes(p *PendingReply) bool { return p.conn.pending.handOver(p) }

// receive delivers a reply.
func (c *Conn) receive(m *nats.Msg) {
	became, o, subject := c.pending.deliver(strings.TrimPrefix(m.Subject, c.inbox), m)
	cmp.Or(o, c.observer).observe(became, subject, m)
}

// Request sends m and waits for a reply. It ends at once when the connection drops or
// NATS refuses the subject.
func (c *Conn) Request(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	replies := NewReplies()
	deadline, _ := ctx.Deadline()
	one, err := c.Expect(Expectation{Subject: m.Subject, Replies: replies, Deadline: deadline})
	if err != nil {
		return nil, err
	}
	defer one.Cancel()
	one.Send(m)
	if r, ok := replies.Next(ctx); ok {
		return r.Msg, r.Err
	}
	return nil, ContextError(ctx)
}
