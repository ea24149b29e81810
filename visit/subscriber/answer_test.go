package subscriber_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// refused checks an error reply, which must say no more than its fixed text.
func refused(t *testing.T, m *nats.Msg, code, description string) {
	t.Helper()
	if got := m.Header.Get(micro.ErrorCodeHeader); got != code {
		t.Errorf("code %q, want %q", got, code)
	}
	if got := m.Header.Get(micro.ErrorHeader); got != description {
		t.Errorf("description %q, want %q", got, description)
	}
	if len(m.Data) != 0 || len(m.Header) != 2 {
		t.Errorf("%v %q", m.Header, m.Data)
	}
}

// A visitor is never left waiting for a decider that has failed, and nobody's
// name travels in an error.
func TestReply_AFailureIsAnErrorWithoutItsText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		decide decideFunc
		want   string
	}{
		"an error": {func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
			return visit.Decision{}, errors.New("Zmark")
		}, "Zmark"},
		"a panic":              {func(context.Context, visit.CheckInRequest) (visit.Decision, error) { panic("Zmark") }, "Zmark"},
		"no verdict":           {func(context.Context, visit.CheckInRequest) (visit.Decision, error) { return visit.Decision{}, nil }, "is missing"},
		"a verdict of its own": {returning(visit.Decision{Verdict: "Zmark"}), "must be"},
		"extras that are not JSON": {returning(visit.Decision{
			Verdict: visit.Accept, Pass: map[string]json.RawMessage{"a": json.RawMessage("Zmark")},
		}), "encode"},
		"a reply over the limit": {returning(visit.Decision{
			Verdict: visit.Accept, AdminNote: strings.Repeat("Zmark", 20_000),
		}), "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := newDecider(t, hq(), c.decide)
			refused(t, s.request(t, "visitors.v1.ask.hq.default", "5000", question(t)), "500", "the decider failed")
			contains(t, next(t, r.errors), c.want)
			r.stop(t)
		})
	}
}

// Who is turned away is turned away, also where the rest cannot be sent.
func TestReply_ARejectionThatCannotBeSentWholeIsSent(t *testing.T) {
	t.Parallel()
	const text = "See reception."
	for name, c := range map[string]struct {
		decision visit.Decision
		want     string
	}{
		"extras that are not JSON": {visit.Decision{VisitorText: text, Pass: map[string]json.RawMessage{"a": json.RawMessage("Zmark")}}, text},
		"no UTF-8":                 {visit.Decision{VisitorText: text, AdminNote: "\xff"}, text},
		"a note over the limit":    {visit.Decision{VisitorText: text, AdminNote: strings.Repeat("x", 4<<20)}, text},
		"a text over the limit":    {visit.Decision{VisitorText: strings.Repeat("x", 4<<20)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.decision.Verdict = visit.Reject
			s, r := newDecider(t, hq(), returning(c.decision))
			d, err := visit.ParseDecision(s.request(t, "visitors.v1.ask.hq.default", "600000", question(t)).Data)
			if err != nil || d.Verdict != visit.Reject || d.VisitorText != c.want {
				t.Errorf("%+v, %v", d, err)
			}
			r.stop(t)
		})
	}
}

func returning(d visit.Decision) decideFunc {
	return func(context.Context, visit.CheckInRequest) (visit.Decision, error) { return d, nil }
}

func TestCheckIn_AnInvalidRequestIsRefused(t *testing.T) {
	t.Parallel()
	s, r := newDecider(t, hq(), accept)
	refused(t, s.request(t, "visitors.v1.ask.hq.default", "5000", []byte("Zmark")), "400", "invalid check-in request")
	err := next(t, r.errors)
	if !errors.Is(err, subscriber.ErrInvalidCheckInRequest) || strings.Contains(err.Error(), "Zmark") {
		t.Errorf("%v", err)
	}
	r.stop(t)
}

// send asks without waiting, and returns where an answer would come.
func (s *site) send(t *testing.T, timeout string) *nats.Subscription {
	t.Helper()
	nc := s.js.Conn()
	m := nats.NewMsg("visitors.v1.ask.hq.default")
	m.Reply, m.Data = nc.NewInbox(), question(t)
	m.Header.Set(visit.HeaderTimeout, timeout)
	sub, err := nc.SubscribeSync(m.Reply)
	if err == nil {
		err = nc.PublishMsg(m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func TestCheckIn_AnExpiredRequestIsDropped(t *testing.T) {
	t.Parallel()
	asked := make(chan bool, 10)
	s, r := newDecider(t, hq(), func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
		asked <- true
		return visit.Decision{Verdict: visit.Accept}, nil
	})
	for _, timeout := range []string{"0", "-5", "-9223372036854775808"} {
		answer := s.send(t, timeout)
		if err := next(t, r.errors); !errors.Is(err, subscriber.ErrExpired) {
			t.Errorf("%s: %v", timeout, err)
		}
		s.ask(t, "hq", "default") // one whose time is not: answers would have come by now
		next(t, asked)
		if n, _, err := answer.Pending(); n != 0 || len(asked) != 0 {
			t.Errorf("%s: %d answers, %d asked, %v", timeout, n, len(asked), err)
		}
	}
	r.stop(t)
}

func TestReply_ALateOneIsDropped(t *testing.T) {
	t.Parallel()
	s, r := newDecider(t, hq(), func(ctx context.Context, q visit.CheckInRequest) (visit.Decision, error) {
		<-ctx.Done()
		return visit.Decision{Verdict: visit.Accept}, nil
	})
	answer := s.send(t, "2000")
	if err := next(t, r.errors); !errors.Is(err, subscriber.ErrExpired) {
		t.Errorf("%v", err)
	}
	r.stop(t) // which sends whatever is to be sent
	if err := s.js.Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _, err := answer.Pending(); n != 0 || err != nil {
		t.Errorf("%d answers, %v", n, err)
	}
}

func TestTimeout_AMissingOrInvalidOneIsBounded(t *testing.T) {
	t.Parallel()
	left := make(chan time.Duration, 1)
	s, r := newDecider(t, hq(), func(ctx context.Context, _ visit.CheckInRequest) (visit.Decision, error) {
		deadline, _ := ctx.Deadline()
		left <- time.Until(deadline)
		return visit.Decision{Verdict: visit.Accept}, nil
	})
	for timeout, limit := range map[string]time.Duration{
		"": 10 * time.Second, "soon": 10 * time.Second, "9223372036854775807": 10 * time.Minute,
	} {
		s.request(t, "visitors.v1.ask.hq.default", timeout, question(t))
		if l := next(t, left); l <= 0 || l > limit {
			t.Errorf("%q: %s", timeout, l)
		}
	}
	r.stop(t)
}

func TestShutdown_RunningCheckInRequestsAreAnswered(t *testing.T) {
	t.Parallel()
	const n = 20
	entered, leave := make(chan bool, n), make(chan bool)
	s, r := newDecider(t, hq(), func(ctx context.Context, _ visit.CheckInRequest) (visit.Decision, error) {
		entered <- true
		<-leave
		return visit.Decision{Verdict: visit.Accept}, ctx.Err()
	})
	answers := make([]*nats.Subscription, n)
	for i := range answers {
		answers[i] = s.send(t, "20000")
	}
	for range n {
		next(t, entered)
	}
	r.end()
	eventually(t, "no more questions are taken", func() bool {
		_, err := s.js.Conn().Request("visitors.v1.ask.hq.default", question(t), time.Millisecond)
		return errors.Is(err, nats.ErrNoResponders)
	})
	close(leave)
	r.stop(t)
	for _, a := range answers {
		m, err := a.NextMsg(patience)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := visit.ParseDecision(m.Data); err != nil {
			t.Error(err)
		}
	}
}

func TestShutdown_ADecisionThatIgnoresItsContextIsAbandoned(t *testing.T) {
	t.Parallel()
	cfg := hq()
	cfg.GracePeriod = 10 * time.Millisecond
	entered, leave := make(chan bool, 1), make(chan bool)
	defer close(leave)
	s, r := newDecider(t, cfg, func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
		entered <- true
		<-leave
		return visit.Decision{Verdict: visit.Accept}, nil
	})
	s.send(t, "20000")
	next(t, entered)
	r.end()
	if err := r.wait(t); !errors.Is(err, subscriber.ErrStillRunning) {
		t.Errorf("%v", err)
	}
}
