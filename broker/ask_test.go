package broker_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

func TestAsk_ReturnsTheDecisionOfTheDecider(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	asked := make(chan *nats.Msg, 1)
	decide(t, s.Connect(), func(m *nats.Msg) {
		asked <- m
		m.Respond([]byte(`{"decision":"reject","visitorText":"No"}`))
	})
	q := question()
	d, err := b.Ask(within(t, patience), q)
	if err != nil || d.Verdict != visit.Reject || d.VisitorText != "No" {
		t.Fatalf("%+v, %v", d, err)
	}
	m := wait.Receive(t, "the question", asked)
	left, err := strconv.Atoi(m.Header.Get(visit.HeaderTimeout))
	if err != nil || left <= 0 || left > int(patience.Milliseconds()) {
		t.Errorf("the decider is told that %q ms remain", m.Header.Get(visit.HeaderTimeout))
	}
	if m.Header.Get(visit.HeaderRequestID) != "R" || string(m.Data) != string(q.Data) {
		t.Errorf("the question arrived as %v %s", m.Header, m.Data)
	}
	if _, mutated := q.Header[visit.HeaderTimeout]; mutated {
		t.Error("the caller's header was changed")
	}
}

func TestAsk_MatchesConcurrentRequestsWithTheirReplies(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	decide(t, s.Connect(), func(m *nats.Msg) {
		go m.Respond([]byte(`{"decision":"accept","adminNote":"` + string(m.Data) + `"}`))
	})
	ctx := within(t, patience)
	results := make(chan error)
	for i := range 200 {
		go func() {
			q := question()
			q.Data = []byte(strconv.Itoa(i))
			d, err := b.Ask(ctx, q)
			if err == nil && d.AdminNote != strconv.Itoa(i) {
				err = errors.New("somebody else's answer")
			}
			results <- err
		}()
	}
	for range 200 {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
}

func TestAsk_ReportsAtOnceThatThereIsNoDecider(t *testing.T) {
	t.Parallel()
	b := ready(t, natstest.Start(t))
	start := time.Now()
	_, err := b.Ask(within(t, patience), question())
	if !errors.Is(err, visit.ErrNoDecider) || time.Since(start) > atOnce {
		t.Errorf("%v after %s", err, time.Since(start))
	}
	if want := "ask visitors.v1.ask.hq.watchlist: no decider is subscribed"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func TestAsk_TimesOutWhenTheDeciderIsSilent(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	decide(t, s.Connect(), func(*nats.Msg) {})
	if _, err := b.Ask(within(t, 50*time.Millisecond), question()); !errors.Is(err, visit.ErrTimeout) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	asked := make(chan error, 1)
	go func() {
		_, err := b.Ask(ctx, question())
		asked <- err
	}()
	cancel()
	if err := <-asked; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestAsk_SendsNothingAfterTheDeadline(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	asked := make(chan *nats.Msg, 2)
	decide(t, s.Connect(), func(m *nats.Msg) {
		asked <- m
		m.Respond([]byte(`{"decision":"accept"}`))
	})
	over, cancel := context.WithDeadline(context.Background(), time.Now())
	defer cancel()
	if _, err := b.Ask(over, question()); !errors.Is(err, visit.ErrTimeout) {
		t.Errorf("%v", err)
	}
	second := question()
	second.Data = []byte("second")
	if _, err := b.Ask(within(t, patience), second); err != nil {
		t.Fatal(err)
	}
	if first := wait.Receive(t, "the question", asked); string(first.Data) != "second" {
		t.Error("the question was sent after its deadline")
	}
}

func TestTrap_ARequestSitsOutItsTimeoutWhenTheConnectionDrops(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	const askers = 20
	questions := make(chan *nats.Msg, askers)
	decide(t, s.Connect(), func(m *nats.Msg) { questions <- m })
	ctx := within(t, patience)
	results := make(chan error, askers)
	for range askers {
		go func() {
			_, err := b.Ask(ctx, question())
			results <- err
		}()
	}
	for range askers {
		wait.Receive(t, "the question", questions)
	}
	go s.Server().Shutdown()
	for range askers {
		if err := <-results; !errors.Is(err, visit.ErrDisconnected) {
			t.Errorf("%v", err)
		}
	}
	if ctx.Err() != nil {
		t.Error("they sat out their time")
	}
	s.Stop()
	fastest := patience
	for range 50 {
		start := time.Now()
		if _, err := b.Ask(ctx, question()); !errors.Is(err, visit.ErrDisconnected) {
			t.Fatalf("while disconnected: %v", err)
		}
		fastest = min(fastest, time.Since(start))
	}
	if fastest > time.Millisecond {
		t.Errorf("while disconnected it takes %s at least to say so", fastest)
	}
}

func TestAsk_RefusesARequestThatIsTooLarge(t *testing.T) {
	t.Parallel()
	b := ready(t, natstest.Start(t))
	q := question()
	q.Data = make([]byte, 2<<20)
	if _, err := b.Ask(within(t, patience), q); !errors.Is(err, visit.ErrTooLarge) {
		t.Errorf("%v", err)
	}
}
