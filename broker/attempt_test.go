package broker_test

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

const repeated = "sine_relay_decider_request_retries_total"

func again(t *testing.T, reg *prometheus.Registry, reason string) float64 {
	t.Helper()
	return sample(t, reg, repeated, "site", "hq", "decider", "watchlist", "reason", reason)
}

func isFirst(m *nats.Msg) bool { return m.Header.Get(visit.HeaderAttempt) == "" }

// NATS gives a question to one member of the decider's group. It does not know for
// minutes that one is dead.
func TestAsk_AsksAgainWhenADeciderHangs(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	reg := prometheus.NewRegistry()
	b := ready(t, s, func(c *broker.Config) { c.Registerer = reg })
	asked := make(chan *nats.Msg, 2)
	decide(t, s.Connect(), func(m *nats.Msg) {
		asked <- m
		if !isFirst(m) {
			m.Respond([]byte(`{"decision":"accept"}`))
		}
	})
	const visitors = 5
	for i := range visitors {
		q := question()
		q.Header[visit.HeaderRequestID] = []string{strconv.Itoa(i)}
		if d, err := b.Ask(within(t, 2*time.Second), q); err != nil || d.Verdict != visit.Accept {
			t.Fatalf("%+v, %v", d, err)
		}
		first, second := wait.Receive(t, "the question", asked), wait.Receive(t, "the second attempt", asked)
		if !isFirst(first) || second.Header.Get(visit.HeaderAttempt) != "2" ||
			first.Header.Get(visit.HeaderRequestID) != second.Header.Get(visit.HeaderRequestID) || string(first.Data) != string(second.Data) {
			t.Errorf("asked %v %s, and then %v %s", first.Header, first.Data, second.Header, second.Data)
		}
		before, _ := strconv.Atoi(first.Header.Get(visit.HeaderTimeout))
		if left, err := strconv.Atoi(second.Header.Get(visit.HeaderTimeout)); err != nil || left <= 0 || left > before/2+1 {
			t.Errorf("%d ms remained at first, and then %d; %v", before, left, err)
		}
		if first.Reply == second.Reply {
			t.Error("both are answered on one subject")
		}
		// One who wakes up answers all the same, and nobody did so for another.
		if err := first.Respond([]byte(`{"decision":"reject"}`)); err != nil {
			t.Fatal(err)
		}
		// Two replies to one attempt are something else.
		second.Respond([]byte(`{"decision":"reject"}`))
		eventually(t, "the second reply to one attempt is counted", func() bool {
			return sample(t, reg, "sine_relay_decider_duplicate_replies_total", "site", "hq", "decider", "watchlist") == float64(i+1)
		})
	}
	if n := again(t, reg, "no_reply"); n != visitors {
		t.Errorf("%v are counted", n)
	}
	if n := sample(t, reg, "sine_relay_decider_late_replies_total"); n != 0 {
		t.Errorf("%v are called late", n)
	}
}

func TestAsk_TakesTheFirstValidReplyOfBothAttempts(t *testing.T) {
	t.Parallel()
	accept, reject, bad := `{"decision":"accept"}`, `{"decision":"reject"}`, `busy`
	for name, c := range map[string]struct {
		// first and second are the replies to the attempts, in no certain order, once
		// the second attempt has come.
		first, second string
		want          visit.Verdict
		err           error
	}{
		"the first one's decision":              {first: reject, want: visit.Reject},
		"the second one's":                      {second: accept, want: visit.Accept},
		"what can be read, and what cannot":     {first: bad, second: accept, want: visit.Accept},
		"what cannot be read, and what can":     {first: reject, second: bad, want: visit.Reject},
		"nothing that can be read":              {first: bad, second: bad, err: visit.ErrBadReply},
		"one that cannot be read, and no other": {first: bad, err: visit.ErrBadReply},
		"nothing":                               {err: visit.ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t)
			b := ready(t, s)
			var first *nats.Msg
			decide(t, s.Connect(), func(m *nats.Msg) {
				if isFirst(m) {
					first = m
					return
				}
				if c.first != "" {
					first.Respond([]byte(c.first))
				}
				if c.second != "" {
					m.Respond([]byte(c.second))
				}
			})
			d, err := b.Ask(within(t, 2*time.Second), question())
			if d.Verdict != c.want || !errors.Is(err, c.err) || c.err == nil && err != nil {
				t.Errorf("%+v, %v", d, err)
			}
		})
	}
}

func TestAsk_DoesNotRetryWithoutADeciderOrAfterABadReply(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	reg := prometheus.NewRegistry()
	b := ready(t, s, func(c *broker.Config) { c.Registerer = reg })
	if _, err := b.Ask(within(t, patience), question()); !errors.Is(err, visit.ErrNoDecider) {
		t.Errorf("%v", err)
	}
	answered := make(chan bool, 1)
	decide(t, s.Connect(), func(m *nats.Msg) {
		answered <- isFirst(m)
		m.Respond([]byte("busy"))
	})
	if _, err := b.Ask(within(t, patience), question()); !errors.Is(err, visit.ErrBadReply) || !<-answered {
		t.Errorf("%v", err)
	}
	if n := again(t, reg, "no_reply") + again(t, reg, "disconnected"); n != 0 {
		t.Errorf("%v were asked again", n)
	}
}

// A decider answers when the relay's connection is back, on the subject of the
// attempt before it dropped or of the one after.
func TestAsk_AsksAgainWhenTheConnectionDrops(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]func(first bool) bool{
		"what was asked again":  func(first bool) bool { return !first },
		"what was asked before": func(first bool) bool { return first },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t)
			p := startProxy(t, s)
			reg := prometheus.NewRegistry()
			b := ready(t, s, func(c *broker.Config) { c.Registerer, c.NATS.Servers = reg, []string{p.url()} })
			const visitors = 20
			var mu sync.Mutex
			var all []*nats.Msg
			firsts, agains := make(chan bool, 10*visitors), make(chan bool, 10*visitors)
			decide(t, s.Connect(), func(m *nats.Msg) {
				mu.Lock()
				all = append(all, m)
				mu.Unlock()
				if isFirst(m) {
					firsts <- true
				} else {
					agains <- true
				}
			})
			results := make(chan error, visitors)
			for range visitors {
				go func() {
					_, err := b.Ask(within(t, patience), question())
					results <- err
				}()
			}
			for range visitors {
				wait.Receive(t, "the first attempt", firsts)
			}
			p.cut()
			for range visitors {
				select {
				case <-agains:
				case err := <-results:
					t.Fatalf("not asked again: %v", err)
				}
			}
			mu.Lock()
			for _, m := range all {
				if answers(isFirst(m)) {
					m.Respond([]byte(`{"decision":"accept"}`))
				}
			}
			mu.Unlock()
			for range visitors {
				if err := <-results; err != nil {
					t.Error(err)
				}
			}
			// Or more: the second connection may drop after the first.
			if n := again(t, reg, "disconnected"); n < visitors {
				t.Errorf("%v are counted", n)
			}
			if n := sample(t, reg, "sine_relay_decider_late_replies_total"); n != 0 {
				t.Errorf("%v are called late", n)
			}
		})
	}
}

// apart returns a broker whose connection for questions goes to a first server, and
// whose other one goes to a second, each by a proxy.
func apart(t *testing.T) (b *broker.Broker, first, second *proxy, reg *prometheus.Registry) {
	t.Helper()
	servers := natstest.Cluster(t, 2)
	decide(t, servers[1].Connect(), func(m *nats.Msg) { m.Respond([]byte(`{"decision":"accept"}`)) })
	for {
		first, second, reg = startProxy(t, servers[0]), startProxy(t, servers[1]), prometheus.NewRegistry()
		b = connectTo(t, servers[0], func(c *broker.Config) {
			c.NATS.Servers, c.Registerer, c.NATS.IgnoreDiscovered = []string{first.url(), second.url()}, reg, true
		})
		eventually(t, "it is connected", func() bool { st := b.Status(); return st.RequestsConnected && st.EventsConnected })
		if b.Status().Server == second.url() { // of the connection for events
			eventually(t, "the first server knows of the decider", func() bool {
				_, err := b.Ask(within(t, patience), question())
				return err == nil
			})
			return b, first, second, reg
		}
		b.Close(t.Context())
	}
}

// It takes some seconds until a server that hangs is noticed.
func TestAsk_GetsADecisionWhileTheServerHangs(t *testing.T) {
	b, first, _, reg := apart(t)
	first.freeze()
	if _, err := b.Ask(within(t, 2500*time.Millisecond), question()); err != nil {
		t.Error(err)
	}
	if n := again(t, reg, "no_reply"); n != 1 {
		t.Errorf("%v were asked again", n)
	}
}

func TestAsk_FallsBackToTheEventsConnection(t *testing.T) {
	b, first, second, reg := apart(t)
	first.listener.Close()
	second.listener.Close()
	first.cut()
	eventually(t, "the door's connection is down", func() bool { return !b.Status().RequestsConnected })
	for range 20 {
		if _, err := b.Ask(within(t, patience), question()); err != nil {
			t.Fatal(err)
		}
	}
	if st := b.Status(); st.RequestsConnected || !st.EventsConnected {
		t.Errorf("%+v", st)
	}
	if n := sample(t, reg, "sine_relay_duplicate_acknowledgements_total") + sample(t, reg, ignoredReplies, "reason", "no_acknowledgement"); n != 0 {
		t.Errorf("%v replies were taken for acknowledgements", n)
	}
}
