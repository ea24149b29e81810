package doors

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestDoor_IsNeverGoodWhileSomethingCannotBeRead(t *testing.T) {
	away := fmt.Errorf("%w: no servers", visit.ErrDisconnected)
	for name, c := range map[string]struct {
		lose func(*site)
		text string
	}{
		"NATS is away":                {func(s *site) { s.Note(NATS, away) }, "Unknown since 12:01:00: NATS cannot be reached: no servers."},
		"nothing is followed":         {func(s *site) { s.Note(Following, away) }, "what happens now: NATS cannot be reached"},
		"no relay can be asked":       {func(s *site) { s.Discovered(nil, away, nil, nil) }, "the relays: NATS cannot be reached"},
		"no decider can be asked":     {func(s *site) { s.Discovered(s.relays, nil, nil, away) }, "the deciders: NATS cannot be reached"},
		"the orders cannot be read":   {func(s *site) { s.Model.Orders(nil, fmt.Errorf("read: %w", visit.ErrDenied)) }, "the standing orders: NATS refuses it: read"},
		"nobody asked for too long":   {func(s *site) { s.now = s.now.Add(time.Minute) }, "no answer since then"},
		"the last day cannot be read": {func(s *site) { s.Note(History, away) }, "the last day: "},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite()
			s.answered("decided", minutes(3)...)
			s.now = noon.Add(time.Minute)
			s.readable()
			c.lose(s)
			d := s.door(t)
			if d.State != Unknown || !strings.Contains(d.Text, c.text) || !strings.Contains(d.Text, "Before: Nothing is wrong") {
				t.Errorf("it is %s: %s", d.State, d.Text)
			}
			s.readable()
			if d := s.door(t); d.State != Answering {
				t.Errorf("it can be read again, and is %s: %s", d.State, d.Text)
			}
		})
	}
}

func TestSearch_ThatMissedSomebodyIsSaidAndWhatItFoundIsTrue(t *testing.T) {
	s := newSite()
	s.answered("decided", minutes(3)...)
	s.Discovered(s.relays, errors.New("1 replies were too large"), nil, nil)
	s.Model.Orders(nil, fmt.Errorf("%w: an entry", visit.ErrInvalidOrder))
	if d := s.door(t); d.State != Answering {
		t.Errorf("it is %s: %s", d.State, d.Text)
	}
	gaps := s.Gaps()
	if len(gaps) != 2 || !gaps[0].Partly || gaps[0].Why != "1 replies were too large" || gaps[1].Source != Orders || gaps[1].Why != "an entry" {
		t.Errorf("what is not known is %+v", gaps)
	}
}

func TestDoor_IsUnknownBeforeTheLastDayWasRead(t *testing.T) {
	m := New(visit.Subjects{}, func() time.Time { return noon })
	m.Record(&visit.Record{Site: "hq", Integration: "lobby", Received: noon, Situation: "decided"})
	v := m.View(func(string) bool { return true })
	if d := v.Doors[0]; d.State != Unknown || strings.Contains(d.Text, "Before") || m.Settled() {
		t.Errorf("it is %s: %s", d.State, d.Text)
	}
}

func TestDoor_LockdownAndFallbackAreSaidWhileTheRelaysCannotBeAsked(t *testing.T) {
	s := newSite()
	s.answered("timeout", minutes(1)...)
	s.Discovered(nil, visit.ErrDisconnected, nil, nil)
	if d := s.door(t); d.State != OnFallback {
		t.Errorf("it is %s: %s", d.State, d.Text)
	}
}
