package door

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

func TestEveryErrorIsASituation(t *testing.T) {
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
		if got := Of(err); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
	}
}

func TestEverySituationHasAFallback(t *testing.T) {
	p := Policy{}.Complete()
	for _, s := range Missed {
		a := p.Fall(s)
		if a.Verdict != visit.Reject || a.VisitorText == "" || a.AdminNote == "" || a.Situation != s {
			t.Errorf("%s: %+v", s, a)
		}
	}
}

func TestConfiguredFallbacksAreKept(t *testing.T) {
	p := Policy{Fallbacks: map[Situation]Fallback{
		Timeout:   {Verdict: visit.Accept},
		NoDecider: {VisitorText: "Nobody is in"},
	}, RejectText: "Not today"}.Complete()
	if a := p.Fall(Timeout); a.Verdict != visit.Accept || a.VisitorText != "" {
		t.Errorf("timeout: %+v", a)
	}
	if a := p.Fall(NoDecider); a.Verdict != visit.Reject || a.VisitorText != "Nobody is in" {
		t.Errorf("no decider: %+v", a)
	}
	if a := p.Fall(Denied); a.VisitorText != "Not today" {
		t.Errorf("denied: %+v", a)
	}
}

func TestARejectionAlwaysHasAText(t *testing.T) {
	p := Policy{}.Complete()
	if a := p.Decide(visit.Decision{Verdict: visit.Reject}, nil); a.VisitorText != DefaultRejectText {
		t.Errorf("%+v", a)
	}
	if a := p.Decide(visit.Decision{Verdict: visit.Reject, VisitorText: "No"}, nil); a.VisitorText != "No" {
		t.Errorf("%+v", a)
	}
}
