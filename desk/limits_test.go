package desk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

func TestLimiter_OneUserHasOnlySome(t *testing.T) {
	p := newLimiter(3, 2)
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	take := func(user string) func() {
		t.Helper()
		free, err := p.acquire(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		return free
	}
	first, second := take("vera"), take("vera")
	if _, err := p.acquire(soon, "vera"); !errors.Is(err, errBusySelf) {
		t.Errorf("a third place of the same user: %v", err)
	}
	third := take("otto")
	soon, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := p.acquire(soon, "rita"); !errors.Is(err, errBusy) {
		t.Errorf("a place where there is none: %v", err)
	}
	first()
	take("rita")()
	second()
	third()
	if len(p.users) != 0 || len(p.all) != 0 {
		t.Errorf("%d users and %d places are left behind", len(p.users), len(p.all))
	}
}

// unread asks for a file and does not read it.
func (f *fixture) unread(t *testing.T, who, path string) {
	t.Helper()
	conn, err := net.Dial("tcp", f.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nX-User: %s\r\nX-Groups: %s\r\nContent-Length: 0\r\n\r\n", path, who, people[who])
}

// many is a broker with more decisions than the buffers of a connection hold.
func many() *fakeBroker {
	b := stored()
	record := b.records[0]
	b.records = nil
	for range 60_000 {
		record.RequestID = visit.NewRequestID()
		b.records = append(b.records, record)
	}
	return b
}

func TestExport_ThatIsNotReadKeepsNoOtherUserWaiting(t *testing.T) {
	f := newFixture(t, many())
	f.read(t)
	for range maxHeavy {
		f.unread(t, "vera", "/decisions.csv")
	}
	wait.Until(t, "the user has all places of one user", func() bool { return len(f.heavy.all) == heavyPerUser })
	for range maxHeavy - heavyPerUser {
		began := time.Now()
		if a := f.get(t, "otto", "/audit"); a.status != http.StatusOK || time.Since(began) > quickTimeout {
			t.Fatalf("another user got %d after %v", a.status, time.Since(began))
		}
	}
}

func TestExport_ThatIsNotReadGivesItsPlaceBack(t *testing.T) {
	f := newFixture(t, many())
	f.Desk.unread = 50 * time.Millisecond
	f.read(t)
	f.unread(t, "vera", "/decisions.csv")
	wait.Until(t, "it has begun", func() bool { return len(f.heavy.all) == 1 })
	wait.Until(t, "its place is free", func() bool { return len(f.heavy.all) == 0 })
}

func TestActionLimiter_AUserMayDoSomethingSoOftenAndThenAgain(t *testing.T) {
	l := newActionLimiter()
	now, limits := time.Now(), actionLimits[visit.ActionExport]
	for i := range limits.Burst {
		if wait := l.take("vera", visit.ActionExport, now); wait != 0 {
			t.Fatalf("the export %d has to wait %v", i+1, wait)
		}
	}
	if wait := l.take("vera", visit.ActionExport, now).Round(time.Millisecond); wait != limits.Refill {
		t.Errorf("one more has to wait %v", wait)
	}
	for name, wait := range map[string]time.Duration{
		"another user":         l.take("rita", visit.ActionExport, now),
		"another action":       l.take("vera", visit.ActionReveal, now),
		"an order":             l.take("vera", visit.ActionLockdown, now),
		"the same, when it is": l.take("vera", visit.ActionExport, now.Add(limits.Refill)),
	} {
		if wait != 0 {
			t.Errorf("%s has to wait %v", name, wait)
		}
	}
	if wait := l.take("vera", visit.ActionExport, now.Add(limits.Refill)).Round(time.Millisecond); wait != limits.Refill {
		t.Errorf("the next has to wait %v", wait)
	}
}

// A user who asks again and again must not fill the stream of the audit for all.
func TestActs_TooOftenAreRefusedWithoutARecord(t *testing.T) {
	for action, c := range map[visit.Action]struct {
		path string
		form []string
	}{
		visit.ActionExport: {"/decisions.csv", nil},
		visit.ActionReveal: {"/visit/reveal", []string{"site", "hq", "event", "", "at", "1"}},
		visit.ActionSource: {"/visit/source", []string{"site", "hq", "event", "", "at", "1"}},
		visit.ActionTry:    {"/try", []string{"integration", "lobby-hq", "step", "check-in-request"}},
	} {
		t.Run(string(action), func(t *testing.T) {
			b := stored()
			f := newTryFixture(t, b)
			f.read(t)
			if len(c.form) > 3 && c.form[2] == "event" {
				c.form[3] = b.events[0].ID
			}
			now := time.Now()
			for range actionLimits[action].Burst {
				f.limits.take("otto", action, now)
			}
			a := f.post(t, "otto", c.path, c.form...)
			if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || len(b.audited()) != 0 {
				t.Errorf("it got %d, the records are %+v", a.status, b.audited())
			}
			if a := f.post(t, "olga", c.path, c.form...); a.status != http.StatusOK || len(b.audited()) != 1 {
				t.Errorf("another user got %d, the records are %+v", a.status, b.audited())
			}
		})
	}
}
