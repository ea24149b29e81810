// Package discovery finds deciders and relays by NATS' discovery of micro services, and makes
// a relay visible there. Whoever replies may be anybody: what is read of replies is bounded.
package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/visit"
)

// Bounds of one discovery. A client that NATS permits to reply may do so as often and
// at such length as it likes.
const (
	// maxSilence ends it: how many there are is not known.
	maxSilence = 300 * time.Millisecond
	// maxFirst is how long the first reply may take. Where nobody listens, NATS
	// says so at once: somebody who does and is silent is busy.
	maxFirst   = time.Second
	maxReplies = 1000
	// maxReplyBytes holds a program with an endpoint for each of some
	// hundred sites.
	maxReplyBytes = 256 << 10
	maxBytes      = 8 << 20
	// flushWait is how long NATS may take to have the question.
	flushWait = 5 * time.Second
)

// Outcome is how a search for programs went.
type Outcome struct {
	// Oversize counts replies that were larger than is looked at.
	Oversize int
	// Cut is set when more came than is taken: the search ended early, and
	// some may be missing.
	Cut bool
}

// String says what was not looked at, and is empty when there is nothing to say.
func (d Outcome) String() string {
	var said []string
	if d.Oversize > 0 {
		said = append(said, fmt.Sprintf("%d replies were larger than %d KiB and not read", d.Oversize, maxReplyBytes>>10))
	}
	if d.Cut {
		said = append(said, fmt.Sprintf("more than %d replies or %d MiB of them came, and the rest was not read: somebody may be missing", maxReplies, maxBytes>>20))
	}
	return strings.Join(said, "; ")
}

// discover asks the programs of a service, or of all for an empty name, for what
// verb stands for, and calls each with a reply until ctx ends, none has replied
// for a while, or too much was said. The error wraps visit.ErrDisconnected or
// visit.ErrDenied.
func discover(ctx context.Context, nc dial.Link, verb micro.Verb, service string, each func(data []byte, after time.Duration)) (d Outcome, err error) {
	subject, err := micro.ControlSubject(verb, service, "")
	if err != nil {
		return d, err
	}
	fail := func(err error) (Outcome, error) {
		return d, fmt.Errorf("look for %s: %w", cmp.Or(service, "services"), err)
	}
	inbox := dial.NewInbox(nc.Conn)
	replies, err := nc.SubscribeSync(inbox)
	if err != nil {
		return fail(err)
	}
	defer replies.Unsubscribe()
	// By default 64 MiB may wait to be looked at. What is over the bound is
	// dropped as it comes, and NATS itself sends no more than so many.
	if err := errors.Join(replies.SetPendingLimits(maxReplies, maxBytes), replies.AutoUnsubscribe(maxReplies+1)); err != nil {
		return fail(err)
	}
	asked := time.Now()
	if err := nc.PublishRequest(subject, inbox, nil); err != nil {
		return fail(err)
	}
	// A server that sends nothing has not said that there is none.
	if err := flushWithin(ctx, nc); err != nil {
		return fail(err)
	}
	silence := maxFirst
	for count, bytes := 0, 0; ; count++ {
		waiting, cancel := context.WithTimeout(ctx, silence)
		m, err := replies.NextMsgWithContext(waiting)
		cancel()
		if errors.Is(err, nats.ErrSlowConsumer) || errors.Is(err, nats.ErrMaxMessages) {
			d.Cut = true
			return d, nil
		}
		if err != nil || conn.IsNoResponders(m) {
			if err := cmp.Or(denied(nc, subject), unheard(nc, inbox)); err != nil {
				return fail(err)
			}
			return d, nil
		}
		silence = maxSilence
		if bytes += len(m.Data); bytes > maxBytes || count >= maxReplies {
			d.Cut = true
			return d, nil
		}
		if len(m.Data) > maxReplyBytes {
			d.Oversize++
			continue
		}
		each(m.Data, time.Since(asked))
	}
}

func flushWithin(ctx context.Context, nc dial.Link) error {
	ctx, cancel := context.WithTimeout(ctx, flushWait)
	defer cancel()
	return nc.FlushWithContext(ctx)
}

// discoverShared is the same on a connection that others may use as well.
func discoverShared(ctx context.Context, c dial.Link, verb micro.Verb, service string, each func(data []byte, after time.Duration)) (d Outcome, err error) {
	if !c.Shared {
		return discover(ctx, c, verb, service, each)
	}
	subject, err := micro.ControlSubject(verb, service, "")
	if err != nil {
		return d, err
	}
	err = c.WhilePermitted(ctx, func(ctx context.Context) (err error) {
		d, err = discover(ctx, c, verb, service, each)
		if cause := context.Cause(ctx); err == nil && (errors.Is(cause, visit.ErrDenied) || errors.Is(cause, visit.ErrDisconnected)) {
			err = cause
		}
		return err
	}, subject)
	return d, err
}

// denied tells silence from a refusal, which reaches the connection only.
func denied(nc dial.Link, subject string) error {
	if nc.Denied(subject) {
		return fmt.Errorf("%w: allow the user to publish to %s", visit.ErrDenied, subject)
	}
	return nil
}

// unheard distinguishes silence from replies that were not permitted, as with the relay's
// own user, which may not subscribe to an operator's inbox.
func unheard(nc dial.Link, inbox string) error {
	if nc.Denied(inbox) {
		prefix, _, _ := strings.Cut(inbox, ".")
		return fmt.Errorf("%w: allow the user to subscribe to %s.>, or be an operator", visit.ErrDenied, prefix)
	}
	return nil
}

// Client is a relay's connection for discovery alone, made when it is first used.
// Over that of the check-in requests, replies without end would hold up the visitors,
// or have NATS close it for being slow.
type Client struct {
	cfg dial.Config

	mu sync.Mutex
	nc *nats.Conn
}

// NewClient returns one that connects with a complete configuration.
func NewClient(cfg dial.Config) *Client { return &Client{cfg: cfg} }

func (c *Client) discover(ctx context.Context, verb micro.Verb, service string, each func([]byte, time.Duration)) (Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nc == nil || c.nc.IsClosed() {
		nc, err := dial.ConnectOnce(c.cfg, nats.Name("sine-relay discovery"), nats.CustomInboxPrefix(c.cfg.InboxPrefix))
		if err != nil {
			return Outcome{}, fmt.Errorf("look for %s: %w: %w", service, visit.ErrDisconnected, err)
		}
		c.nc = nc
	}
	d, err := discover(ctx, dial.OwnLink(c.nc), verb, service, each)
	if err != nil || d.Cut {
		// A refusal stays a connection's last error after it was lifted, and
		// what more was sent need not be read.
		c.nc.Close()
	}
	return d, err
}

// Close disconnects.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nc != nil {
		c.nc.Close()
	}
}
