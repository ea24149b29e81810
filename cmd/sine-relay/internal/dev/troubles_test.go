package dev

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/desk"
	"github.com/sine-relay/sine-relay/visit"
)

// pipes is a NATS that does nothing but accept connections.
type pipes struct{ err error }

func (p pipes) InProcessConn() (net.Conn, error) {
	if p.err != nil {
		return nil, p.err
	}
	conn, _ := net.Pipe()
	return conn, nil
}

func TestCutter_CutsWhoIsConnectedAndRefusesWhoComes(t *testing.T) {
	c := &cutter{}
	if c.possible() {
		t.Error("a NATS that is not here can be cut off")
	}
	nats := c.of(pipes{})
	conn, err := nats.InProcessConn()
	if err != nil {
		t.Fatal(err)
	}
	left, err := nats.InProcessConn()
	if err != nil || left.Close() != nil || len(c.open) != 1 {
		t.Fatalf("%d are open, %v", len(c.open), err)
	}
	c.set(true)
	if _, err := conn.Write([]byte("PING")); err == nil {
		t.Error("a connection that was cut is written to")
	}
	if _, err := nats.InProcessConn(); !errors.Is(err, errCut) {
		t.Errorf("somebody connects: %v", err)
	}
	c.set(false)
	if _, err := nats.InProcessConn(); err != nil {
		t.Errorf("nobody connects again: %v", err)
	}
	broken := errors.New("down")
	if _, err := c.of(pipes{broken}).InProcessConn(); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestTroubles_AreThoseThatThereAre(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	tr := &troubles{cut: &cutter{}, look: make(chan chan struct{})}
	if known := tr.known(); len(known) != 3 {
		t.Errorf("%v", known)
	}
	tr.cut.of(pipes{})
	if err := tr.set(ctx, troubleNATS, true); err != nil || !tr.known()[3].On || !tr.cut.isCut {
		t.Errorf("%v, %v", tr.known(), err)
	}
	if err := tr.set(ctx, "flood", true); err == nil {
		t.Error("there is a flood")
	}
	go func() { close(<-tr.look) }()
	if err := tr.set(ctx, troubleGone, true); err != nil || !tr.is(troubleGone) {
		t.Error(err)
	}
	cancel() // and nobody looks
	if err := tr.set(ctx, troubleLies, true); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func message(id, subject string, size int) visit.Message {
	return visit.Message{Subject: subject, Header: map[string][]string{visit.HeaderRequestID: {id}, "A": {"1", "2"}}, Data: make([]byte, size)}
}

// fakeBroker decides and stores, or says why not.
type fakeBroker struct{ err error }

func (f fakeBroker) Ask(context.Context, visit.Message) (visit.Decision, error) {
	return visit.Decision{Verdict: visit.Accept}, f.err
}

func (f fakeBroker) Publish(context.Context, visit.Message) (visit.Receipt, error) {
	return visit.Receipt{}, f.err
}

func TestWire_HasTheMessagesOfAWebhook(t *testing.T) {
	ctx, begin := context.Background(), time.Now()
	w := &wire{}
	asking{fakeBroker{}, w}.Ask(ctx, message("R1", "visitors.v1.ask.hq.badges", 3))
	asking{fakeBroker{visit.ErrTimeout}, w}.Ask(ctx, message("R2", "visitors.v1.ask.hq.badges", 3))
	publishing{fakeBroker{}, w}.Publish(ctx, message("R1", "visitors.v1.event.hq.checked_in", 2*wireBytes))
	publishing{fakeBroker{visit.ErrDisconnected}, w}.Publish(ctx, message("R2", "visitors.v1.event.hq.checked_in", 3))
	for id, want := range map[string][][3]string{
		"R1": {{"relay", "badges", "visitors.v1.ask.hq.badges"}, {"badges", "relay", "decision"}, {"relay", "nats", "visitors.v1.event.hq.checked_in"}},
		"R2": {
			{"relay", "badges", "visitors.v1.ask.hq.badges"}, {"nats", "relay", "no decision: " + visit.ErrTimeout.Error()},
			{"relay", "nats", "visitors.v1.event.hq.checked_in (not stored: " + visit.ErrDisconnected.Error() + ")"},
		},
		"R3": {},
	} {
		found := w.between(id, begin)
		if len(found) != len(want) {
			t.Fatalf("%s: %+v", id, found)
		}
		for i, m := range found {
			if got := [3]string{m.From, m.To, m.What}; got != want[i] || m.After < 0 || len(m.Body) > wireBytes+4 {
				t.Errorf("%s: message %d is %v, %d bytes after %s; want %v", id, i, got, len(m.Body), m.After, want[i])
			}
		}
	}
	if header := w.between("R1", begin)[0].Header; len(header) != 2 || header[0] != [2]string{"A", "1, 2"} {
		t.Errorf("%v", header)
	}
}

func TestWire_ForgetsTheOldest(t *testing.T) {
	w := &wire{}
	w.note("first", desk.TryMessage{})
	for range wireMessages {
		w.note("later", desk.TryMessage{})
	}
	if len(w.last) != wireMessages || len(w.between("first", time.Now())) != 0 {
		t.Errorf("%d are kept", len(w.last))
	}
}
