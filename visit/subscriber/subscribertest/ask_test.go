package subscribertest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
	"github.com/sine-relay/sine-relay/visit/subscriber/subscribertest"
)

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	failed string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
	panic(r)
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

// failure is how a test fails.
func failure(t *testing.T, test func(testing.TB)) (words string) {
	t.Helper()
	r := &recorder{TB: t}
	defer func() {
		if v := recover(); v != nil && v != any(r) {
			panic(v)
		}
		words = r.failed
	}()
	test(r)
	return ""
}

func accepting(d visit.Decision) subscribertest.Decide {
	return func(context.Context, visit.CheckInRequest) (visit.Decision, error) { return d, nil }
}

func TestAsk_ReturnsTheDecisionAsTheRelayReadsIt(t *testing.T) {
	long := strings.Repeat("x", 9<<10)
	for name, c := range map[string]struct{ decided, want visit.Decision }{
		"an acceptance":                            {visit.Decision{Verdict: visit.Accept, VisitorText: "Welcome!"}, visit.Decision{Verdict: visit.Accept, VisitorText: "Welcome!", Decider: "default"}},
		"control characters are removed":           {visit.Decision{Verdict: visit.Accept, VisitorText: "Wel\u202ecome\a!"}, visit.Decision{Verdict: visit.Accept, VisitorText: "Welcome!", Decider: "default"}},
		"a rejection has no pass":                  {visit.Decision{Verdict: visit.Reject, Pass: map[string]json.RawMessage{"badge": []byte("1")}}, visit.Decision{Verdict: visit.Reject, Decider: "default"}},
		"a rejection's text that is too long goes": {visit.Decision{Verdict: visit.Reject, VisitorText: long, AdminNote: "note"}, visit.Decision{Verdict: visit.Reject, AdminNote: "note", Decider: "default"}},
		"a decider may name itself":                {visit.Decision{Verdict: visit.Accept, Decider: "watchlist", Version: "1.2.3"}, visit.Decision{Verdict: visit.Accept, Decider: "watchlist", Version: "1.2.3"}},
	} {
		got := subscribertest.Ask(t, accepting(c.decided), subscribertest.Visitor().CheckInRequest())
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// What a decider gets has passed the wire.
func TestAsk_SendsTheRequestInItsWireForm(t *testing.T) {
	want := subscribertest.LargeNumbers().CheckInRequest()
	subscribertest.Ask(t, func(ctx context.Context, got visit.CheckInRequest) (visit.Decision, error) {
		if string(got.Source) != string(want.Source) || &got.Source[0] == &want.Source[0] {
			t.Errorf("the source is %s", got.Source)
		}
		if got.RequestID != want.RequestID || !got.Time.Equal(want.Time) || got.Host == want.Host || *got.Host != *want.Host {
			t.Errorf("got %+v", got)
		}
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > subscribertest.DefaultTimeout {
			t.Errorf("the deadline is %v", deadline)
		}
		return visit.Decision{Verdict: visit.Accept}, nil
	}, want)
}

func TestAsk_FailsTheTestWithoutADecision(t *testing.T) {
	for name, c := range map[string]struct {
		decide subscribertest.Decide
		want   string
	}{
		"an error": {func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
			return visit.Decision{}, errors.New("the database is down")
		}, `no decision, so the visitor gets the integration's fallback "bad_reply": bad reply: the database is down`},
		"a panic": {func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
			panic("the watchlist is empty")
		}, "the decider panicked: the watchlist is empty\ngoroutine "},
		"no verdict":        {accepting(visit.Decision{VisitorText: "Welcome!"}), `"bad_reply": bad reply: invalid decision: the field "decision" is missing`},
		"an unknown one":    {accepting(visit.Decision{Verdict: "maybe"}), `must be "accept" or "reject"`},
		"too long a text":   {accepting(visit.Decision{Verdict: visit.Accept, VisitorText: strings.Repeat("x", 9<<10)}), "must be at most 8192 bytes, got 9216"},
		"too large a reply": {accepting(visit.Decision{Verdict: visit.Accept, Pass: map[string]json.RawMessage{"a": []byte(`"` + strings.Repeat("x", 17<<10) + `"`)}}), "invalid decision"},
		"JSON that is none": {accepting(visit.Decision{Verdict: visit.Accept, Pass: map[string]json.RawMessage{"a": []byte("{")}}), "encode the decision"},
		"t.Fatal": {func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
			(&testing.T{}).SkipNow()
			panic("unreachable")
		}, "use t.Error in it and not t.Fatal"},
	} {
		got := failure(t, func(t testing.TB) {
			subscribertest.Ask(t, c.decide, subscribertest.Visitor().CheckInRequest())
		})
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Neither a slow decider nor one that hangs holds up the test.
func TestAsk_FailsWhenTheDeciderIsLate(t *testing.T) {
	for name, decide := range map[string]subscribertest.Decide{
		"slow": func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
			time.Sleep(3 * time.Second)
			return visit.Decision{Verdict: visit.Accept}, nil
		},
		"obedient": func(ctx context.Context, _ visit.CheckInRequest) (visit.Decision, error) {
			<-ctx.Done()
			return visit.Decision{}, ctx.Err()
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			got := failure(t, func(t testing.TB) {
				subscribertest.Ask(t, decide, subscribertest.Visitor().CheckInRequest(), subscribertest.Within(300*time.Millisecond))
			})
			if !strings.Contains(got, `fallback "timeout": no reply before the deadline: the decider had 300ms`) {
				t.Errorf("%s: %s", name, got)
			}
			if took := time.Since(began); took != 300*time.Millisecond {
				t.Errorf("%s: it took %s", name, took)
			}
		})
	}
}

func TestAsk_RefusesARequestThatNoRelaySends(t *testing.T) {
	r := subscribertest.Visitor().CheckInRequest()
	r.Source = []byte("{")
	got := failure(t, func(t testing.TB) { subscribertest.Ask(t, accepting(visit.Decision{Verdict: visit.Accept}), r) })
	if !strings.Contains(got, "not JSON") {
		t.Error(got)
	}
	r = subscribertest.Visitor().CheckInRequest()
	r.Time = time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)
	got = failure(t, func(t testing.TB) { subscribertest.Ask(t, accepting(visit.Decision{Verdict: visit.Accept}), r) })
	if !strings.Contains(got, "cannot be encoded") {
		t.Error(got)
	}
}

func TestTry_ReturnsWhyThereIsNoDecision(t *testing.T) {
	broken := errors.New("broken")
	_, err := subscribertest.Try(t, func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
		return visit.Decision{}, broken
	}, subscribertest.Visitor().CheckInRequest())
	if !errors.Is(err, visit.ErrBadReply) || !errors.Is(err, broken) {
		t.Error(err)
	}
	_, err = subscribertest.Try(t, accepting(visit.Decision{}), subscribertest.Visitor().CheckInRequest())
	if !errors.Is(err, visit.ErrBadReply) || !errors.Is(err, visit.ErrInvalidDecision) {
		t.Error(err)
	}
	synctest.Test(t, func(t *testing.T) {
		_, err := subscribertest.Try(t, func(ctx context.Context, _ visit.CheckInRequest) (visit.Decision, error) {
			<-ctx.Done()
			return visit.Decision{}, ctx.Err()
		}, subscribertest.Visitor().CheckInRequest())
		if !errors.Is(err, visit.ErrTimeout) || !strings.Contains(err.Error(), "2.5s") {
			t.Error(err)
		}
	})
}

func TestTryAtOnce_RefusesThoseBeyondTheConcurrency(t *testing.T) {
	var requests []visit.CheckInRequest
	for _, v := range subscribertest.Group() {
		requests = append(requests, v.CheckInRequest())
	}
	together := make(chan bool)
	answers := subscribertest.TryAtOnce(t, 2, func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
		select { // each waits for the other
		case together <- true:
		case <-together:
		}
		return visit.Decision{Verdict: visit.Accept}, nil
	}, requests)
	for _, a := range answers[:2] {
		if a.Err != nil || a.Decision.Verdict != visit.Accept {
			t.Errorf("%+v", a)
		}
	}
	if err := answers[2].Err; !errors.Is(err, subscriber.ErrOverloaded) || !errors.Is(err, visit.ErrBadReply) {
		t.Error(err)
	}
}
