package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

// combine is a relay with an integration for every case, and a decider for each of
// its seats.
type combine struct {
	*program
	nats   *natstest.Server
	cases  []*combineCase
	budget time.Duration

	mu   sync.Mutex
	next time.Time // when to look again
	asks map[string]float64
}

func startCombine(t *testing.T, budget time.Duration, cases []*combineCase) *combine {
	t.Helper()
	s := &combine{nats: natstest.Start(t), cases: cases, budget: budget}
	var integrations []fields
	for _, c := range cases {
		integrations = append(integrations, c.integration(budget))
		for _, m := range c.members {
			c.deciders = append(c.deciders, newFakeDecider(t, s.nats, "visitors.v1.ask."+c.name+"."+m.name))
		}
	}
	s.program = runIntegrations(t, integrationsOf(t, integrations), "NATS_URL="+s.nats.URL(), "WRITE_TIMEOUT="+(budget+time.Minute).String())
	return s
}

// knowsReply reports whether the relay knows a decider's reply. All who wait share
// each look at the metrics, and leave half of the time for what they wait for.
func (s *combine) knowsReply(c *combineCase, m member) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.After(s.next) {
		s.asks = s.counted("sine_relay_decider_requests_total")
		s.next = time.Now().Add(max(time.Since(now), 100*time.Millisecond))
	}
	outcome := m.situation()
	return s.asks[fmt.Sprintf("decider=%q,integration=%q,result=%q", m.name, c.name, outcome)] > 0
}

// send has the visitors of all cases come at once.
func (s *combine) send() {
	var all sync.WaitGroup
	for _, c := range s.cases {
		all.Go(func() {
			if err := s.sendOne(c); err != nil {
				s.t.Errorf("%s: %v", c, err)
			}
		})
	}
	all.Wait()
}

// sendOne has everybody asked before anybody replies. Each reply then waits until
// the one before it is known to the relay, or has answered.
func (s *combine) sendOne(c *combineCase) error {
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		c.response = s.visitor(c.name, webhook("signin_before", noon, "Ada"))
	}()
	defer func() { <-answered }()
	for i, m := range c.members {
		q := c.deciders[i].next()
		if q == nil {
			return fmt.Errorf("%s was not asked", m.name)
		}
		c.requests = append(c.requests, q)
		if m.does == vanishes {
			c.deciders[i].nc.Close()
		}
	}
	for n, i := range c.arrival {
		c.reply(i)
		m, last := c.members[i], n == len(c.arrival)-1
		if settles(c.rule, m) {
			<-answered
		} else if !last && !wait.For(func() bool { return s.knowsReply(c, m) }) {
			return fmt.Errorf("%s was not counted", m.name)
		}
	}
	return nil
}

func (s *combine) check(c *combineCase, rec record) {
	s.t.Helper()
	possible := c.expected()
	got, err := c.outcome(rec)
	if err != nil || !slices.Contains(possible, got) {
		s.t.Errorf("%s: answered %+v %v, want one of %+v", c, got, err, possible)
	}
	if waited := strings.Contains(got.votes, "timeout"); waited != (c.response.took >= s.budget) {
		s.t.Errorf("%s: answered after %s", c, c.response.took)
	}
	for i, p := range c.deciders {
		for len(p.requests) > 0 {
			if attempt := (<-p.requests).Header.Get(visit.HeaderAttempt); attempt != "2" || c.members[i].inTime() {
				s.t.Errorf("%s: %s was asked again, by attempt %q", c, c.members[i].name, attempt)
			}
		}
	}
}

// checkAll sends and checks all cases. Those who come late reply once every
// visitor has been answered and the relay waits for nobody any more.
func (s *combine) checkAll() {
	s.t.Helper()
	s.send()
	js := s.nats.JetStream()
	records(s.t, js, len(s.cases))
	late := 0.0
	for _, c := range s.cases {
		for i, m := range c.members {
			if m.does == comeLate {
				c.reply(i)
				late++
			}
		}
	}
	eventually(s.t, "the late replies are counted", func() bool { return s.counted("sine_relay_decider_late_replies_total")[""] >= late })
	if got := s.counted("sine_relay_decider_late_replies_total")[""]; got != late {
		s.t.Errorf("%v late replies are counted, want %v", got, late)
	}
	stored := records(s.t, js, len(s.cases))
	for _, c := range s.cases {
		s.check(c, stored[c.response.id])
	}
	s.t.Logf("%d visitors before %d deciders each, %v late replies", len(s.cases), len(s.cases[0].members), late)
}
