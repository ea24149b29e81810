package subscriber

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrDenied is returned when the NATS user lacks a permission. The error names
// the subject.
var ErrDenied = errors.New("permission denied")

const denialsEvery = 100 * time.Millisecond

var quoted = regexp.MustCompile(`"([^"]+)"`)

// denial is the server's latest refusal of a subject that is ours, unless it is
// the one that was there before. NATS refuses without an answer: a request would
// sit out its timeout, a pull would wait for ever. The connection's error
// handler hears of it, but that is the caller's.
func denial(nc *nats.Conn, before error, ours func(subject string) bool) error {
	err := nc.LastError()
	if err == before || !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	subject := quoted.FindStringSubmatch(err.Error())
	if subject == nil || !ours(subject[1]) {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrDenied, err)
}

// watchDenials reports the first denial that comes before ctx ends.
func watchDenials(ctx context.Context, nc *nats.Conn, before error, ours func(string) bool, report func(error)) {
	ticker := time.NewTicker(denialsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := denial(nc, before, ours); err != nil {
				report(err)
				return
			}
		}
	}
}

// needs reports whether the consumer cannot work without a subject: creating
// it, pulling, acknowledging, and the inbox that all answers come to.
func (c EventsConfig) needs(nc *nats.Conn, subject string) bool {
	id := "." + c.Stream + "." + c.Durable
	inbox := strings.TrimSuffix(nc.Opts.InboxPrefix, ".")
	if inbox == "" {
		inbox = "_INBOX"
	}
	return strings.Contains(subject, ".CONSUMER.CREATE"+id+".") ||
		strings.HasSuffix(subject, ".CONSUMER.MSG.NEXT"+id) ||
		strings.Contains(subject, "$JS.ACK.") && strings.Contains(subject, id+".") ||
		strings.HasPrefix(subject, inbox+".")
}
