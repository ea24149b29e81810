package doors

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Source is what a state rests on.
type Source int

const (
	// NATS is the connection.
	NATS Source = iota
	// History is what happened in the last day, before the desk began to follow.
	History
	// Following is what happens.
	Following
	// Relays and Deciders are those that answer, and Orders the standing orders.
	Relays
	Deciders
	Orders
	sourceCount
)

// Sources are all of them.
var Sources = []Source{NATS, History, Following, Relays, Deciders, Orders}

var sourceNames = [sourceCount]string{"NATS", "the last day", "what happens now", "the relays", "the deciders", "the standing orders"}

func (s Source) String() string { return sourceNames[s] }

var notYet = [sourceCount]string{
	"not asked yet", "not read yet", "not followed yet", "not asked yet", "not asked yet", "not read yet",
}

// source is whether one can be read, and ever could.
type source struct {
	known, ever bool
	// since is when that began, and checked when it was last said.
	since, checked time.Time
	why            string // it is not known, in words
	// partly is why not all of it is known, although what was read is true; or empty.
	partly string
}

func (s *source) set(err error, now time.Time) {
	s.checked, s.partly = now, ""
	switch {
	case err != nil:
		if s.known {
			s.since = now
		}
		s.known, s.why = false, Why(err)
	case !s.known:
		s.known, s.ever, s.since, s.why = true, true, now, ""
	}
}

// at is the source as it is known at a time: an answer that is too old is none.
func (s source) at(now time.Time, polled bool) source {
	if polled && s.known && now.Sub(s.checked) > stale {
		return source{since: s.checked, checked: s.checked, why: "no answer since then"}
	}
	return s
}

// partial takes an error beside which something was found for one of the rest: a search
// that has missed somebody. What was found is used, and it is said what was missed.
func (s *source) partial(err error, found int, now time.Time) error {
	lost := found == 0 || errors.Is(err, visit.ErrDenied) || errors.Is(err, visit.ErrDisconnected) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	if err == nil || lost {
		s.set(err, now)
		return err
	}
	s.set(nil, now)
	s.partly = Why(err)
	return nil
}

// Why says in words why something could not be read or done.
func Why(err error) string {
	because := func(sentinel error) string {
		return visit.CleanText(strings.TrimPrefix(strings.TrimPrefix(err.Error(), sentinel.Error()), ": "))
	}
	switch {
	case errors.Is(err, visit.ErrDenied):
		return sentence("NATS refuses it", because(visit.ErrDenied))
	case errors.Is(err, visit.ErrDisconnected):
		return sentence("NATS cannot be reached", because(visit.ErrDisconnected))
	case errors.Is(err, visit.ErrInvalidOrder):
		return because(visit.ErrInvalidOrder)
	default:
		return visit.CleanText(err.Error())
	}
}

func sentence(what, because string) string {
	if because == "" {
		return what
	}
	return what + ": " + because
}
