package dial

import (
	"context"
	"slices"

	"github.com/nats-io/nats.go"
)

// Link is a connection to NATS, with what ends its use where NATS refuses something.
type Link struct {
	*nats.Conn
	Permitted Permitted
	// Shared is set where others use it at once. Then its last error may be another's.
	Shared bool
}

// OwnLink is that of a program which has the connection to itself.
func OwnLink(nc *nats.Conn) Link { return Link{nc, Alone(nc), false} }

// Link is that of one who shares the connection.
func (s *Shared) Link() Link { return Link{s.Conn, s.WhilePermitted, true} }

// WhilePermitted runs use until NATS refuses one of the subjects, to which it publishes, or
// the connection drops.
func (l Link) WhilePermitted(ctx context.Context, use func(context.Context) error, subjects ...string) error {
	return l.Permitted(ctx, func(subject string) bool { return slices.Contains(subjects, subject) }, use)
}

// Explain adds what NATS refused, where only this use of the connection can have caused it.
func (l Link) Explain(err error) error {
	if l.Shared {
		return err
	}
	return Explain(l.Conn, err)
}

// Denied reports whether NATS refused a subject, where only this use of the connection can
// have caused it.
func (l Link) Denied(subject string) bool { return !l.Shared && Denied(l.Conn, subject) }
