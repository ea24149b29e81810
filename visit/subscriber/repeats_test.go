package subscriber_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// attempt sends a question for the n-th time.
func (s *site) attempt(t *testing.T, requestID string, n int) *nats.Subscription {
	t.Helper()
	nc := s.js.Conn()
	q := visit.CheckInRequest{Origin: visit.Origin{RequestID: requestID, Site: "hq"}, Source: visit.Source(`{}`)}
	data, err := visit.MarshalCheckInRequest(&q)
	if err != nil {
		t.Fatal(err)
	}
	m := nats.NewMsg("visitors.v1.ask.hq.default")
	m.Reply, m.Data = nc.NewInbox(), data
	m.Header.Set(visit.HeaderTimeout, "20000")
	m.Header.Set(visit.HeaderRequestID, requestID)
	if n > 1 {
		m.Header.Set(visit.HeaderAttempt, strconv.Itoa(n))
	}
	sub, err := nc.SubscribeSync(m.Reply)
	if err == nil {
		err = nc.PublishMsg(m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func replyOf(t *testing.T, sub *nats.Subscription) *nats.Msg {
	t.Helper()
	m, err := sub.NextMsg(patience)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A program that is merely slow must not print a badge twice.
func TestAQuestionThatComesAgainIsDecidedOnce(t *testing.T) {
	t.Parallel()
	asked, leave := make(chan string, 10), make(chan bool)
	s, r := newDecider(t, hq(), func(_ context.Context, q visit.CheckInRequest) (visit.Decision, error) {
		asked <- q.RequestID
		if q.RequestID == "SLOW" {
			<-leave
		}
		return visit.Decision{Verdict: visit.Reject, VisitorText: q.RequestID}, nil
	})
	attempts := []*nats.Subscription{s.attempt(t, "SLOW", 1), s.attempt(t, "SLOW", 2)}
	replyOf(t, s.attempt(t, "OTHER", 2)) // behind the second attempt
	close(leave)
	for _, sub := range append(attempts, s.attempt(t, "SLOW", 3)) {
		if d, err := visit.ParseDecision(replyOf(t, sub).Data); err != nil || d.VisitorText != "SLOW" {
			t.Errorf("%+v, %v", d, err)
		}
	}
	replyOf(t, s.attempt(t, "OTHER", 1)) // which does not say that it comes again
	replyOf(t, s.attempt(t, "", 2))
	replyOf(t, s.attempt(t, "", 2))
	r.stop(t)
	close(asked)
	times := map[string]int{}
	for id := range asked {
		times[id]++
	}
	if times["SLOW"] != 1 || times["OTHER"] != 2 || times[""] != 2 {
		t.Errorf("the program was asked %v", times)
	}
}

func TestAFailureIsNotKept(t *testing.T) {
	t.Parallel()
	asked, leave := make(chan bool, 10), make(chan bool)
	s, r := newDecider(t, hq(), func(_ context.Context, q visit.CheckInRequest) (visit.Decision, error) {
		if q.RequestID == "SLOW" {
			asked <- true
			<-leave
			return visit.Decision{}, errors.New("no")
		}
		return visit.Decision{Verdict: visit.Accept}, nil
	})
	attempts := []*nats.Subscription{s.attempt(t, "SLOW", 1), s.attempt(t, "SLOW", 2)}
	replyOf(t, s.attempt(t, "OTHER", 1))
	close(leave)
	for _, sub := range append(attempts, s.attempt(t, "SLOW", 3)) {
		refused(t, replyOf(t, sub), "500", "the decider failed")
	}
	for range 2 { // the first two attempts at once, and the third
		if err := next(t, r.errors); err == nil || errors.Is(err, subscriber.ErrExpired) {
			t.Errorf("%v", err)
		}
	}
	r.stop(t)
	if n := len(asked); n != 2 {
		t.Errorf("the program was asked %d times", n)
	}
}
