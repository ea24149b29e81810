package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

func TestSituationOf_KnowsEveryError(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Situation
	}{
		{nil, Decided},
		{visit.ErrNoDecider, NoDecider},
		{visit.ErrTimeout, Timeout},
		{visit.ErrDisconnected, Disconnected},
		{visit.ErrDenied, Denied},
		{visit.ErrTooLarge, Denied},
		{visit.ErrBadReply, BadReply},
		{context.DeadlineExceeded, Timeout},
		{errors.New("anything else"), Timeout},
	} {
		err := c.err
		if err != nil {
			err = fmt.Errorf("ask x: %w", err)
		}
		got := SituationOf(err)
		if got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
		if got != Decided && !slices.Contains(Unanswered, got) {
			t.Errorf("%v: a decider cannot have a fallback for %s", c.err, got)
		}
	}
}

func TestUnanswered_HasFallbacks(t *testing.T) {
	for _, s := range Unanswered {
		if !slices.Contains(Missed, s) {
			t.Errorf("%s", s)
		}
	}
}
