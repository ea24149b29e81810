package subscriber_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

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
func TestDecide_ARepeatedCheckInRequestIsDecidedOnce(t *testing.T) {
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

func TestDecide_AFailureIsNotCached(t *testing.T) {
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
	for _, sub := range attempts {
		refused(t, replyOf(t, sub), "500", "the decider failed")
	}
	refused(t, replyOf(t, s.attempt(t, "SLOW", 3)), "500", "the decider failed")
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

// stats are those that discovery shows of the only decider.
func (s *site) stats(t *testing.T) visit.DeciderStats {
	t.Helper()
	m, err := s.js.Conn().Request("$SRV.STATS."+visit.DeciderService, nil, patience)
	if err != nil {
		t.Fatal(err)
	}
	var all micro.Stats
	var own visit.DeciderStats
	if err := json.Unmarshal(m.Data, &all); err != nil || len(all.Endpoints) != 1 {
		t.Fatalf("%v: %s", err, m.Data)
	}
	if err := json.Unmarshal(all.Endpoints[0].Data, &own); err != nil {
		t.Fatal(err)
	}
	return own
}

// Nobody sees a program that hangs if its questions count when it returns. Their time
// is long enough for the program to be asked before it is over, on a machine that is
// busy.
func TestStats_CountACheckInRequestWhileItHangs(t *testing.T) {
	t.Parallel()
	leave := make(chan bool)
	s, r := newDecider(t, hq(), func(_ context.Context, q visit.CheckInRequest) (visit.Decision, error) {
		<-leave
		return visit.Decision{Verdict: visit.Accept}, nil
	})
	const time1, time2 = 2 * time.Second, 3 * time.Second
	s.send(t, "2000")
	answer := s.send(t, "3000")
	for range 2 {
		if err := next(t, r.errors); !errors.Is(err, subscriber.ErrExpired) {
			t.Errorf("%v", err)
		}
	}
	hanging := s.stats(t)
	mean := time.Duration(hanging.AverageMs * 1e6)
	if hanging.Expired != 2 || hanging.Late != 0 || hanging.Decided != 0 || mean < (time1+time2)/2 {
		t.Errorf("while it hangs: %+v", hanging)
	}
	close(leave)
	eventually(t, "the late answers are counted", func() bool { return s.stats(t).Late == 2 })
	returned := s.stats(t)
	if returned.Expired != 2 || returned.Decided != 0 || returned.AverageMs <= hanging.AverageMs {
		t.Errorf("when it has returned: %+v", returned)
	}
	r.stop(t)
	if n, _, err := answer.Pending(); n != 0 || err != nil {
		t.Errorf("%d late answers were sent, %v", n, err)
	}
}

func TestStats_AverageIncludesFailures(t *testing.T) {
	t.Parallel()
	const slow = 100 * time.Millisecond
	s, r := newDecider(t, hq(), func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
		time.Sleep(slow)
		return visit.Decision{}, errors.New("no")
	})
	s.request(t, "visitors.v1.ask.hq.default", "60000", question(t))
	if got := s.stats(t); got.Failed != 1 || time.Duration(got.AverageMs*1e6) < slow {
		t.Errorf("%+v", got)
	}
	r.stop(t)
}

// What a program did after its time is said, unless it only heeded its context.
func TestTimeout_AFailureAfterItIsReported(t *testing.T) {
	t.Parallel()
	failure := errors.New("the list is broken")
	s, r := newDecider(t, hq(), func(ctx context.Context, _ visit.CheckInRequest) (visit.Decision, error) {
		<-ctx.Done()
		return visit.Decision{}, failure
	})
	s.send(t, "2000")
	if err := next(t, r.errors); !errors.Is(err, subscriber.ErrExpired) {
		t.Errorf("%v", err)
	}
	if err := next(t, r.errors); !errors.Is(err, failure) {
		t.Errorf("%v", err)
	}
	if got := s.stats(t); got.Expired != 1 || got.Late != 0 || got.Failed != 0 {
		t.Errorf("%+v", got)
	}
	r.stop(t)
}
