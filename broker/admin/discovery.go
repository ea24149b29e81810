package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/conn/dial"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/visit"
)

// Bounds of one discovery. A client that NATS permits to reply may do so as often and
// at such length as it likes.
const (
	// discoverySilence ends it: how many there are is not known.
	discoverySilence = 300 * time.Millisecond
	// discoveryFirst is how long the first reply may take. Where nobody listens, NATS
	// says so at once: somebody who does and is silent is busy.
	discoveryFirst   = time.Second
	discoveryReplies = 1000
	// discoveryReplyBytes holds a program with an endpoint for each of some
	// hundred sites.
	discoveryReplyBytes = 256 << 10
	discoveryBytes      = 8 << 20
)

// Discovery is how a search for programs went.
type Discovery struct {
	// Oversize counts replies that were larger than is looked at.
	Oversize int
	// Cut is set when more came than is taken: the search ended early, and
	// some may be missing.
	Cut bool
}

// String says what was not looked at, and is empty when there is nothing to say.
func (d Discovery) String() string {
	var said []string
	if d.Oversize > 0 {
		said = append(said, fmt.Sprintf("%d replies were larger than %d KiB and not read", d.Oversize, discoveryReplyBytes>>10))
	}
	if d.Cut {
		said = append(said, fmt.Sprintf("more than %d replies or %d MiB of them came, and the rest was not read: somebody may be missing", discoveryReplies, discoveryBytes>>20))
	}
	return strings.Join(said, "; ")
}

// discover asks the programs of a service, or of all for an empty name, for what
// verb stands for, and calls each with a reply until ctx ends, none has replied
// for a while, or too much was said. The error wraps visit.ErrDisconnected or
// visit.ErrDenied.
func discover(ctx context.Context, nc connection, verb micro.Verb, service string, each func(data []byte, after time.Duration)) (d Discovery, err error) {
	subject, err := micro.ControlSubject(verb, service, "")
	if err != nil {
		return d, err
	}
	fail := func(err error) (Discovery, error) {
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
	if err := errors.Join(replies.SetPendingLimits(discoveryReplies, discoveryBytes), replies.AutoUnsubscribe(discoveryReplies+1)); err != nil {
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
	silence := discoveryFirst
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
		silence = discoverySilence
		if bytes += len(m.Data); bytes > discoveryBytes || count >= discoveryReplies {
			d.Cut = true
			return d, nil
		}
		if len(m.Data) > discoveryReplyBytes {
			d.Oversize++
			continue
		}
		each(m.Data, time.Since(asked))
	}
}

func flushWithin(ctx context.Context, nc connection) error {
	ctx, cancel := context.WithTimeout(ctx, pullWait)
	defer cancel()
	return nc.FlushWithContext(ctx)
}

// discover is the same on a connection that others may use as well.
func (c connection) discover(ctx context.Context, verb micro.Verb, service string, each func(data []byte, after time.Duration)) (d Discovery, err error) {
	if !c.shared {
		return discover(ctx, c, verb, service, each)
	}
	subject, err := micro.ControlSubject(verb, service, "")
	if err != nil {
		return d, err
	}
	err = c.whilePermitted(ctx, func(ctx context.Context) (err error) {
		d, err = discover(ctx, c, verb, service, each)
		if cause := context.Cause(ctx); err == nil && (errors.Is(cause, visit.ErrDenied) || errors.Is(cause, visit.ErrDisconnected)) {
			err = cause
		}
		return err
	}, subject)
	return d, err
}

// denied tells silence from a refusal, which reaches the connection only.
func denied(nc connection, subject string) error {
	if !nc.shared && dial.Denied(nc.Conn, subject) {
		return fmt.Errorf("%w: allow the user to publish to %s", visit.ErrDenied, subject)
	}
	return nil
}

// unheard distinguishes silence from replies that were not permitted, as with the relay's
// own user, which may not subscribe to an operator's inbox.
func unheard(nc connection, inbox string) error {
	if !nc.shared && dial.Denied(nc.Conn, inbox) {
		prefix, _, _ := strings.Cut(inbox, ".")
		return fmt.Errorf("%w: allow the user to subscribe to %s.>, or be an operator", visit.ErrDenied, prefix)
	}
	return nil
}

// Discoverer is a relay's connection for discovery alone, made when it is first used.
// Over that of the check-in requests, replies without end would hold up the visitors,
// or have NATS close it for being slow.
type Discoverer struct {
	cfg dial.Config

	mu sync.Mutex
	nc *nats.Conn
}

// NewDiscoverer returns one that connects with a complete configuration.
func NewDiscoverer(cfg dial.Config) *Discoverer { return &Discoverer{cfg: cfg} }

func (l *Discoverer) discover(ctx context.Context, verb micro.Verb, service string, each func([]byte, time.Duration)) (Discovery, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nc == nil || l.nc.IsClosed() {
		nc, err := dial.ConnectOnce(l.cfg, nats.Name("sine-relay discovery"), nats.CustomInboxPrefix(l.cfg.InboxPrefix))
		if err != nil {
			return Discovery{}, fmt.Errorf("look for %s: %w: %w", service, visit.ErrDisconnected, err)
		}
		l.nc = nc
	}
	d, err := discover(ctx, alone(l.nc), verb, service, each)
	if err != nil || d.Cut {
		// A refusal stays a connection's last error after it was lifted, and
		// what more was sent need not be read.
		l.nc.Close()
	}
	return d, err
}

// Close disconnects.
func (l *Discoverer) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nc != nil {
		l.nc.Close()
	}
}
