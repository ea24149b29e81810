package dial

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/internal/natsperm"
	"github.com/sine-relay/sine-relay/visit"
)

// lookEvery is how soon a denial or a lost connection is noticed.
const lookEvery = 20 * time.Millisecond

// Permitted runs use as [WhilePermitted] and [Shared.WhilePermitted] do.
type Permitted func(ctx context.Context, needs func(subject string) bool, use func(context.Context) error) error

// Alone is [WhilePermitted] on a connection.
func Alone(nc *nats.Conn) Permitted {
	return func(ctx context.Context, needs func(string) bool, use func(context.Context) error) error {
		return WhilePermitted(ctx, nc, needs, use)
	}
}

// WhilePermitted runs use until NATS denies a subject that it needs or the connection
// drops. NATS denies without a reply: a request would sit out its timeout, a pull would
// wait for ever. The connection's error handler hears of it, but that is the caller's.
//
// The error wraps visit.ErrDenied and names the subject, or is visit.ErrDisconnected.
func WhilePermitted(ctx context.Context, nc *nats.Conn, needs func(subject string) bool, use func(context.Context) error) error {
	if !nc.IsConnected() {
		return visit.ErrDisconnected
	}
	s := permissions{nc: nc, needs: needs, before: nc.LastError(), reconnects: nc.Stats().Reconnects}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go s.watch(ctx, stop)
	err := use(ctx)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		// The inbox is refused once, as the connection is made.
		if refused := s.inboxDenial(nc.LastError()); refused != nil {
			return refused
		}
	}
	return err
}

// permissions watches a connection from a moment on.
type permissions struct {
	nc         *nats.Conn
	needs      func(subject string) bool
	before     error
	reconnects uint64
}

func (p permissions) watch(ctx context.Context, stop context.CancelCauseFunc) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := p.fault(); err != nil {
				stop(err)
				return
			}
		}
	}
}

func (p permissions) fault() error {
	if !p.nc.IsConnected() || p.nc.Stats().Reconnects != p.reconnects {
		return visit.ErrDisconnected
	}
	err := p.nc.LastError()
	if err == p.before {
		return nil
	}
	if refused := p.inboxDenial(err); refused != nil {
		return refused
	}
	return p.denial(err)
}

// inboxDenial is not nil when err refuses the inbox.
func (p permissions) inboxDenial(err error) error {
	prefix := natsperm.Inbox(p.nc)
	v, ok := natsperm.Parse(err)
	if !ok || v.Operation != natsperm.Subscribe || !strings.HasPrefix(v.Subject, prefix) {
		return nil
	}
	return fmt.Errorf("%w: the user may not subscribe to %s>", visit.ErrDenied, prefix)
}

// denial is not nil when err refuses a subject that is needed: others may use the
// connection too.
func (p permissions) denial(err error) error {
	v, ok := natsperm.Parse(err)
	if !ok || v.Operation != natsperm.Publish || !p.needs(v.Subject) {
		return nil
	}
	return notPermitted(v.Subject)
}

func notPermitted(subject string) error {
	return fmt.Errorf("%w: the user may not publish to %s", visit.ErrDenied, stable(subject))
}

// stable is the subject without the name of a consumer, which is another one each time.
func stable(subject string) string { return consumerName.ReplaceAllString(subject, "$1*") }

var consumerName = regexp.MustCompile(`^(.*\.CONSUMER\.(?:CREATE|MSG\.NEXT)\.KV_[^.]+\.)[^.]+`)

// Explain returns what NATS refused to the connection of a command, or else err: the
// client library only says that the time was up.
func Explain(nc *nats.Conn, err error) error {
	if v, refused := natsperm.Last(nc); refused && !errors.Is(err, visit.ErrDenied) {
		return fmt.Errorf("%w: %w", visit.ErrDenied, v.Err)
	}
	return err
}

// Denied reports whether NATS refused a subject to the connection of a command.
func Denied(nc *nats.Conn, subject string) bool {
	_, refused := natsperm.LastOf(nc, subject)
	return refused
}

// PublishDenied reports whether err is a refusal to publish.
func PublishDenied(err error) bool {
	v, ok := natsperm.Parse(err)
	return ok && v.Operation == natsperm.Publish
}
