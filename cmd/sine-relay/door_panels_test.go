package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/brokertest"
)

// panelCase is one visitor before several deciders.
type panelCase struct {
	name    string
	rule    string
	members []member
	// arrival are those who reply in time, in the order in which they do.
	arrival []int
	lie     string // the reply of those who lie

	puppets   []*puppet
	questions []*nats.Msg // by member
	told      told
}

// kinds are everything that a decider can be, with the fallback that it needs.
func kinds(of ...behaviour) (all []member) {
	for _, b := range of {
		m := member{does: b}
		if m.decides() {
			all = append(all, m)
			continue
		}
		for _, m.fallback = range []string{"accept", "reject"} {
			all = append(all, m)
		}
	}
	return all
}

// panels are all ways to fill n seats with kinds.
func panels(kinds []member, n int) [][]member {
	if n == 0 {
		return [][]member{nil}
	}
	var all [][]member
	for _, others := range panels(kinds, n-1) {
		for _, m := range kinds {
			m.name = string(rune('a' + n - 1))
			all = append(all, append(slices.Clone(others), m))
		}
	}
	return all
}

// casesOf are the panels under both rules, in every order of arrival.
func casesOf(panels [][]member, suits func(members []member) bool) (all []*panelCase) {
	lying := []string{
		`{"stream":"VISITORS","seq":7}`, `{"visitorText":"Come in"}`, `{"decision":["accept","reject"]}`, `{"decision":"Accept"}`, `accept`,
	}
	for _, members := range panels {
		if !suits(members) {
			continue
		}
		var inTime []int
		for i, m := range members {
			if m.inTime() {
				inTime = append(inTime, i)
			}
		}
		for _, rule := range []string{"all", "any"} {
			for _, order := range permutations(inTime) {
				c := &panelCase{rule: rule, members: members, arrival: order, lie: lying[len(all)%len(lying)]}
				c.name = fmt.Sprintf("%s-%d", rule, len(all))
				all = append(all, c)
			}
		}
	}
	return all
}

func (c *panelCase) String() string {
	var all []string
	for _, m := range c.members {
		all = append(all, strings.TrimSuffix(fmt.Sprintf("%s %s or %s", m.name, m.does, m.fallback), " or "))
	}
	return fmt.Sprintf("%s: %s of %s, arriving %v", c.name, c.rule, strings.Join(all, ", "), c.arrival)
}

func (c *panelCase) integration(budget time.Duration) fields {
	var deciders []fields
	for _, m := range c.members {
		fallbacks := fields{}
		for _, s := range []string{"no_decider", "timeout", "disconnected", "denied", "bad_reply"} {
			fallbacks[s] = fields{"answer": "reject", "visitorText": "Not what happened.", "adminNote": "Not what happened."}
		}
		if !m.decides() {
			fallbacks[m.situation()] = fields{"answer": m.fallback, "visitorText": m.text(), "adminNote": m.note()}
		}
		deciders = append(deciders, fields{"name": m.name, "fallbacks": fallbacks})
	}
	return fields{"name": c.name, "combine": c.rule, "deciders": deciders, "decisionBudget": budget.String(), "answers": doorTemplates}
}

// stage is a relay with an integration for every case, and a decider for each of
// its seats.
type stage struct {
	*program
	nats   *brokertest.Server
	cases  []*panelCase
	budget time.Duration

	mu     sync.Mutex
	looked time.Time
	asks   map[string]float64
}

func newStage(t *testing.T, budget time.Duration, cases []*panelCase) *stage {
	t.Helper()
	s := &stage{nats: brokertest.Start(t), cases: cases, budget: budget}
	var integrations []fields
	for _, c := range cases {
		integrations = append(integrations, c.integration(budget))
		for _, m := range c.members {
			c.puppets = append(c.puppets, newPuppet(t, s.nats, "visitors.v1.ask."+c.name+"."+m.name))
		}
	}
	s.program = runDoor(t, integrationsOf(t, integrations), "NATS_URL="+s.nats.URL(), "WRITE_TIMEOUT=60s")
	return s
}

// heard reports whether the relay knows a decider's reply. All who wait share
// each look at the metrics.
func (s *stage) heard(c *panelCase, m member) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.looked) > 100*time.Millisecond {
		s.asks, s.looked = s.counted("sine_relay_asks_total"), time.Now()
	}
	outcome := m.situation()
	return s.asks[fmt.Sprintf("decider=%q,integration=%q,outcome=%q", m.name, c.name, outcome)] > 0
}

// play has the visitors of all cases come at once.
func (s *stage) play() {
	var all sync.WaitGroup
	for _, c := range s.cases {
		all.Go(func() {
			if err := s.playOne(c); err != nil {
				s.t.Errorf("%s: %v", c, err)
			}
		})
	}
	all.Wait()
}

// playOne has everybody asked before anybody replies. Each reply then waits until
// the one before it is known to the relay, or has answered.
func (s *stage) playOne(c *panelCase) error {
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		c.told = s.visitor(c.name, webhook("signin_before", noon, "Ada"))
	}()
	defer func() { <-answered }()
	for i, m := range c.members {
		q := c.puppets[i].next()
		if q == nil {
			return fmt.Errorf("%s was not asked", m.name)
		}
		c.questions = append(c.questions, q)
		if m.does == vanishes {
			c.puppets[i].nc.Close()
		}
	}
	for n, i := range c.arrival {
		c.reply(i)
		m, last := c.members[i], n == len(c.arrival)-1
		if settles(c.rule, m) {
			<-answered
		} else if !last && !patient(func() bool { return s.heard(c, m) }) {
			return fmt.Errorf("%s was not heard", m.name)
		}
	}
	return nil
}

// reply sends a member's reply to its question.
func (c *panelCase) reply(i int) {
	m, q := c.members[i], c.questions[i]
	switch m.does {
	case errs:
		q.RespondMsg(&nats.Msg{Header: nats.Header{"Nats-Service-Error-Code": {"500"}, "Nats-Service-Error": {"the decider failed"}}})
	case lies:
		q.Respond([]byte(c.lie))
	case comeLate:
		q.Respond([]byte(`{"decision":"accept","visitorText":"Too late"}`))
	default:
		q.Respond(fmt.Appendf(nil, `{"decision":%q,"visitorText":%q,"adminNote":%q}`, m.verdict(), m.text(), m.note()))
	}
}

// foretold is how the visitor must be answered. Those who do not reply in time
// are given up at the same moment, in any order.
func (c *panelCase) foretold() (possible []foretold) {
	var others []int
	for i, m := range c.members {
		if !m.inTime() {
			others = append(others, i)
		}
	}
	for _, order := range permutations(others) {
		possible = append(possible, foretell(c.rule, c.members, slices.Concat(c.arrival, order)))
	}
	return possible
}

// outcome is how the visitor was answered, by the answer and its record.
func (c *panelCase) outcome(rec record) (foretold, error) {
	var said struct{ Code, Visitor, Admin, Message, Staff string }
	if err := json.Unmarshal([]byte(c.told.body), &said); err != nil {
		return foretold{}, err
	}
	f := foretold{situation: rec.Situation, decider: rec.Decider, text: said.Visitor + said.Message, notes: said.Admin + said.Staff}
	f.verdict = map[string]string{"SUCCESS": "accept", "REJECTED": "reject"}[said.Code]
	if f.verdict != string(rec.Verdict) || c.told.status != http.StatusOK {
		return f, fmt.Errorf("answered %d %s, and recorded %s", c.told.status, c.told.body, rec.Verdict)
	}
	var situations []string
	for i, v := range rec.Votes {
		if v.Decider != c.members[i].name {
			return f, fmt.Errorf("vote %d is of %s", i, v.Decider)
		}
		situations = append(situations, v.Situation)
	}
	f.votes = strings.Join(situations, " ")
	return f, nil
}

func (s *stage) check(c *panelCase, rec record) {
	s.t.Helper()
	possible := c.foretold()
	got, err := c.outcome(rec)
	if err != nil || !slices.Contains(possible, got) {
		s.t.Errorf("%s: answered %+v %v, want one of %+v", c, got, err, possible)
	}
	if waited := strings.Contains(got.votes, "timeout"); waited != (c.told.took >= s.budget) {
		s.t.Errorf("%s: answered after %s", c, c.told.took)
	}
	for i, p := range c.puppets {
		if len(p.questions) > 0 {
			s.t.Errorf("%s: %s was asked again", c, c.members[i].name)
		}
	}
}

// checkAll plays and checks all cases. Those who come late reply once every
// visitor has been answered and the relay waits for nobody any more.
func (s *stage) checkAll() {
	s.t.Helper()
	s.play()
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
	eventually(s.t, "the late replies are counted", func() bool { return s.counted("sine_relay_late_replies_total")[""] >= late })
	if got := s.counted("sine_relay_late_replies_total")[""]; got != late {
		s.t.Errorf("%v late replies are counted, want %v", got, late)
	}
	stored := records(s.t, js, len(s.cases))
	for _, c := range s.cases {
		s.check(c, stored[c.told.id])
	}
	s.t.Logf("%d visitors before %d deciders each, %v late replies", len(s.cases), len(s.cases[0].members), late)
}

func everybodyReplies(members []member) bool {
	return !slices.ContainsFunc(members, func(m member) bool { return !m.inTime() })
}

func TestPairsOfDecidersWhoReplyInEveryOrder(t *testing.T) {
	cases := casesOf(panels(kinds(accepts, rejects, errs, lies), 2), everybodyReplies)
	newStage(t, patience, cases).checkAll()
}

func TestPairsOfDecidersOfWhomSomeDoNotReplyInTime(t *testing.T) {
	all := panels(kinds(accepts, rejects, errs, lies, stalls, comeLate, vanishes), 2)
	cases := casesOf(all, func(members []member) bool { return !everybodyReplies(members) })
	newStage(t, 3*time.Second, cases).checkAll()
}

func TestThreeDecidersInEveryOrder(t *testing.T) {
	oneOfEach := func(members []member) bool {
		a, b, c := members[0].does, members[1].does, members[2].does
		return a != b && b != c && c != a
	}
	newStage(t, patience, casesOf(panels(kinds(accepts, rejects, errs), 3), oneOfEach)).checkAll()
}
