// Package natsperm reads which subject NATS did not permit.
//
// NATS refuses without an answer: a request would sit out its timeout, a pull would
// wait for ever. The refusal reaches the connection alone, as an error whose text
// names the subject.
package natsperm

import (
	"cmp"
	"errors"
	"regexp"
	"strings"

	"github.com/nats-io/nats.go"
)

// An Operation is what was not permitted, in the words of the server.
type Operation string

const (
	Publish   Operation = "Publish"
	Subscribe Operation = "Subscription"
)

// A Violation is one refusal.
type Violation struct {
	Operation Operation
	Subject   string
	Err       error // as nats.go reports it
}

var violation = regexp.MustCompile(`Permissions Violation for (Publish|Subscription) to "([^"]+)"`)

// Parse reads an error of a connection, and reports whether it is a refusal.
func Parse(err error) (Violation, bool) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return Violation{}, false
	}
	parts := violation.FindStringSubmatch(err.Error())
	if parts == nil {
		return Violation{}, false
	}
	return Violation{Operation(parts[1]), parts[2], err}, true
}

// Last returns the refusal that the connection had last, if its last error is one.
func Last(nc *nats.Conn) (Violation, bool) { return Parse(nc.LastError()) }

// LastOf is Last where only that subject counts: others may use the connection, too.
func LastOf(nc *nats.Conn, subject string) (Violation, bool) {
	v, ok := Last(nc)
	return v, ok && v.Subject == subject
}

// Inbox is the prefix of the subjects that a connection is answered on, with its dot.
func Inbox(nc *nats.Conn) string {
	return strings.TrimSuffix(cmp.Or(nc.Opts.InboxPrefix, "_INBOX"), ".") + "."
}
