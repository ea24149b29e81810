package dial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/internal/logthrottle"
	"github.com/sine-relay/sine-relay/internal/natsperm"
	"github.com/sine-relay/sine-relay/visit"
)

// loggedEvery is how often an error of a shared connection is logged again.
const loggedEvery = time.Minute

// Shared is a connection of nats.go that many use at once and that is tried until it is
// closed. Who waits hears at once that the connection dropped, or that NATS refused a
// subject that it needs itself: another's refusal does not concern it.
type Shared struct {
	*nats.Conn

	log      *slog.Logger
	throttle *logthrottle.Throttle
	// up is whether the connection stands. Asking nats.go would not do: it holds its
	// lock while it shakes hands, for a second with a peer that sends nothing.
	up atomic.Bool

	mu    sync.Mutex
	users map[*sharedUse]bool
	inbox error // that NATS refuses to let it receive, since the connection was made
	last  error // why there is no connection
}

// sharedUse is one who waits.
type sharedUse struct {
	needs func(subject string) bool
	stop  context.CancelCauseFunc
}

// ConnectShared fails only for what can never work: a NATS that is away is tried until
// [nats.Conn.Close]. Replies come to the inbox that every client has by default.
func ConnectShared(cfg Config, log *slog.Logger, more ...nats.Option) (*Shared, error) {
	cfg.InboxPrefix = OperatorInbox
	s := &Shared{log: log, throttle: logthrottle.New(loggedEvery), users: map[*sharedUse]bool{}}
	more = append([]nats.Option{
		nats.ConnectHandler(func(*nats.Conn) { s.connected("connected to NATS") }),
		nats.ReconnectHandler(func(*nats.Conn) { s.connected("reconnected to NATS") }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { s.disconnected(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { s.notConnected(cfg.Explained(err)) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { s.refused(err) }),
	}, more...)
	nc, err := Connect(cfg, more...)
	if err != nil {
		return nil, err
	}
	s.Conn = nc
	if nc.IsConnected() {
		s.up.Store(true) // the handler for that may not have been called yet
	} else {
		s.notConnected(cfg.Explained(nc.LastError()))
	}
	return s, nil
}

// Connected returns nil while NATS can be reached, else an error that wraps
// visit.ErrDisconnected and says why it cannot.
func (s *Shared) Connected() error {
	if s.up.Load() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return visit.ErrDisconnected
	}
	return fmt.Errorf("%w: %w", visit.ErrDisconnected, s.last)
}

// WhilePermitted runs use until NATS refuses a subject that it needs or the connection
// drops. The error wraps visit.ErrDenied and names the subject, or
// visit.ErrDisconnected.
func (s *Shared) WhilePermitted(ctx context.Context, needs func(subject string) bool, use func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	u := &sharedUse{needs, stop}
	s.mu.Lock()
	s.users[u] = true
	s.mu.Unlock()
	defer s.leave(u)
	if err := s.Connected(); err != nil { // after it is among the users, or it would miss the drop
		return err
	}
	err := use(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		err = cause
	}
	// The inbox of nats.go's own requests is refused once, as the first is made.
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.inbox != nil {
			return s.inbox
		}
	}
	return err
}

func (s *Shared) leave(u *sharedUse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, u)
}

func (s *Shared) connected(text string) {
	s.mu.Lock()
	s.inbox, s.last = nil, nil
	s.mu.Unlock()
	s.up.Store(true)
	s.log.Info(text)
}

// disconnected ends what is waited for: the replies would not come any more.
func (s *Shared) disconnected(err error) {
	s.up.Store(false)
	if err == nil {
		err = errors.New("closed")
	}
	s.mu.Lock()
	s.last = err
	for u := range s.users {
		u.stop(visit.ErrDisconnected)
	}
	s.mu.Unlock()
	s.log.Warn("disconnected from NATS", "err", err.Error())
}

func (s *Shared) notConnected(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	s.last = err
	s.mu.Unlock()
	s.logError("cannot connect to NATS", err)
}

// refused tells those whom a refusal concerns.
func (s *Shared) refused(err error) {
	v, ok := natsperm.Parse(err)
	if !ok {
		s.logError("NATS error", err)
		return
	}
	s.mu.Lock()
	switch {
	case v.Operation == natsperm.Publish:
		for u := range s.users {
			if u.needs(v.Subject) {
				u.stop(notPermitted(v.Subject))
			}
		}
	case strings.HasPrefix(v.Subject, OperatorInbox+"."):
		s.inbox = fmt.Errorf("%w: the user may not subscribe to %s.>", visit.ErrDenied, OperatorInbox)
		for u := range s.users {
			u.stop(s.inbox)
		}
	}
	s.mu.Unlock()
	s.logError("NATS error", err)
}

// logError logs an error once in a while.
func (s *Shared) logError(text string, err error) {
	if s.throttle.Due(text, time.Now()) > 0 {
		s.log.Warn(text, "err", err.Error())
	}
}
