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
