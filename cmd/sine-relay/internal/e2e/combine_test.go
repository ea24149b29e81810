package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// combineCase is one visitor before several deciders.
type combineCase struct {
	name    string
	rule    string
	members []member
	// arrival are those who reply in time, in the order in which they do.
	arrival []int
	lie     string // the reply of those who lie

	deciders []*fakeDecider
	requests []*nats.Msg // by member
	response response
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

// combinations are all ways to fill n seats with kinds.
func combinations(kinds []member, n int) [][]member {
	if n == 0 {
		return [][]member{nil}
	}
	var all [][]member
	for _, others := range combinations(kinds, n-1) {
		for _, m := range kinds {
			m.name = string(rune('a' + n - 1))
			all = append(all, append(slices.Clone(others), m))
		}
	}
	return all
}

// casesOf are the combinations under both rules, in every order of arrival.
func casesOf(combinations [][]member, suits func(members []member) bool) (all []*combineCase) {
	lying := []string{
		`{"stream":"VISITORS"}`, `{"visitorText":"Come in"}`, `{"decision":["accept","reject"]}`, `{"decision":"Accept"}`, `accept`,
	}
	for _, members := range combinations {
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
				c := &combineCase{rule: rule, members: members, arrival: order, lie: lying[len(all)%len(lying)]}
				c.name = fmt.Sprintf("%s-%d", rule, len(all))
				all = append(all, c)
			}
		}
	}
	return all
}

func (c *combineCase) String() string {
	var all []string
	for _, m := range c.members {
		all = append(all, strings.TrimSuffix(fmt.Sprintf("%s %s or %s", m.name, m.does, m.fallback), " or "))
	}
	return fmt.Sprintf("%s: %s of %s, arriving %v", c.name, c.rule, strings.Join(all, ", "), c.arrival)
}

func (c *combineCase) integration(budget time.Duration) fields {
	var deciders []fields
	for _, m := range c.members {
		fallbacks, other := fields{}, "accept"
		if m.fallback == other {
			other = "reject"
		}
		for _, s := range []string{"no_decider", "timeout", "disconnected", "denied", "bad_reply"} {
			fallbacks[s] = fields{"decision": other, "visitorText": "Not what happened.", "adminNote": "Not what happened."}
		}
		if !m.decides() {
			fallbacks[m.situation()] = fields{"decision": m.fallback, "visitorText": m.text(), "adminNote": m.note()}
		}
		deciders = append(deciders, fields{"name": m.name, "fallbacks": fallbacks})
	}
	return fields{"name": c.name, "combine": c.rule, "deciders": deciders, "decisionBudget": budget.String(), "responses": responseTemplates}
}

// reply sends a member's reply to its request.
func (c *combineCase) reply(i int) {
	m, q := c.members[i], c.requests[i]
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

// expected is how the visitor must be answered. Those who do not reply in time
// are given up at the same moment, in any order.
func (c *combineCase) expected() (possible []expected) {
	var others []int
	for i, m := range c.members {
		if !m.inTime() {
			others = append(others, i)
		}
	}
	for _, order := range permutations(others) {
		possible = append(possible, expect(c.rule, c.members, slices.Concat(c.arrival, order)))
	}
	return possible
}

// outcome is how the visitor was answered, by the answer and its record.
func (c *combineCase) outcome(rec record) (expected, error) {
	var said struct{ Code, Visitor, Admin, Message, Staff string }
	if err := json.Unmarshal([]byte(c.response.body), &said); err != nil {
		return expected{}, err
	}
	f := expected{situation: rec.Situation, decider: rec.Decider, text: said.Visitor + said.Message, notes: said.Admin + said.Staff}
	f.verdict = map[string]string{"SUCCESS": "accept", "REJECTED": "reject"}[said.Code]
	if f.verdict != string(rec.Verdict) || c.response.status != http.StatusOK {
		return f, fmt.Errorf("answered %d %s, and recorded %s", c.response.status, c.response.body, rec.Verdict)
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

func everybodyReplies(members []member) bool {
	return !slices.ContainsFunc(members, func(m member) bool { return !m.inTime() })
}

// ample is a time for deciding of which not half passes, after which the relay would ask
// again, however slowly the scrapes come that show which replies it knows.
const ample = 5 * time.Minute

func TestCombine_PairsDecideInEveryReplyOrder(t *testing.T) {
	t.Parallel()
	cases := casesOf(combinations(kinds(accepts, rejects, errs, lies), 2), everybodyReplies)
	startCombine(t, ample, cases).checkAll()
}

func TestCombine_PairsDecideDespiteMissingOrLateReplies(t *testing.T) {
	t.Parallel()
	all := combinations(kinds(accepts, rejects, errs, lies, stalls, comeLate, vanishes), 2)
	cases := casesOf(all, func(members []member) bool { return !everybodyReplies(members) })
	startCombine(t, 8*time.Second, cases).checkAll()
}

func TestCombine_ThreeDecideInEveryReplyOrder(t *testing.T) {
	t.Parallel()
	oneOfEach := func(members []member) bool {
		a, b, c := members[0].does, members[1].does, members[2].does
		return a != b && b != c && c != a
	}
	startCombine(t, ample, casesOf(combinations(kinds(accepts, rejects, errs), 3), oneOfEach)).checkAll()
}

// What the rules for several deciders say, in the words of the README and by
// nothing else: no code of the relay is used.

// behaviour is what a decider does with its request.
type behaviour string

const (
	accepts  behaviour = "accepts"
	rejects  behaviour = "rejects"
	errs     behaviour = "errs"     // it replies that it failed
	lies     behaviour = "lies"     // its reply is no decision
	stalls   behaviour = "stalls"   // it never replies
	comeLate behaviour = "comeLate" // it replies after the deadline
	vanishes behaviour = "vanishes" // its connection is gone once it was asked
)

// member is one decider of a case. Its fallback is "accept" or "reject" for every
// situation, and empty where it needs none.
type member struct {
	name     string
	does     behaviour
	fallback string
}

func (m member) decides() bool { return m.does == accepts || m.does == rejects }

// inTime reports whether its reply, whatever it is, comes before the deadline.
func (m member) inTime() bool { return m.decides() || m.does == errs || m.does == lies }

func (m member) verdict() string {
	switch m.does {
	case accepts:
		return "accept"
	case rejects:
		return "reject"
	default:
		return m.fallback
	}
}

func (m member) situation() string {
	switch {
	case m.decides():
		return "decided"
	case m.inTime():
		return "bad_reply"
	default:
		return "timeout"
	}
}

// text and note are what it says to the visitor and to the administrator, itself
// or by its fallback.
func (m member) text() string {
	return fmt.Sprintf("%s says %s, %s", m.name, m.verdict(), m.situation())
}

func (m member) note() string { return fmt.Sprintf("note of %s, %s", m.name, m.situation()) }

// expected is how a visitor must be answered.
type expected struct {
	verdict, situation string
	// decider is who is said to have decided; nobody where all had to.
	decider, text, notes string
	// votes are the situations of the members, in the order of the
	// configuration: "decided timeout".
	votes string
}

// expect says how a visitor is answered when the members' votes come in an
// order, of which none is left out.
func expect(rule string, members []member, order []int) expected {
	counted := slices.Clone(order)
	if n := slices.IndexFunc(order, func(i int) bool { return settles(rule, members[i]) }); n >= 0 {
		counted = order[:n+1]
	}
	f := expected{votes: votes(members, counted), notes: notes(members, counted)}
	var came []member
	for _, i := range counted {
		came = append(came, members[i])
	}
	decisive := decisive(rule, came)
	f.verdict = decisive[0].verdict()
	f.decider, f.situation, f.text = decisive[0].name, decisive[0].situation(), decisive[0].text()
	if f.verdict == "accept" {
		f.text = slices.MinFunc(decisive, func(a, b member) int { return strings.Compare(a.name, b.name) }).text()
	}
	if rule == "all" && f.verdict == "accept" {
		f.decider, f.situation = "", "decided"
		if n := slices.IndexFunc(decisive, func(m member) bool { return !m.decides() }); n >= 0 {
			f.decider, f.situation = decisive[n].name, decisive[n].situation()
		}
	}
	return f
}

// settles: under all, the first rejection answers at once, also that of a
// fallback; under any, the first acceptance of a decider does.
func settles(rule string, m member) bool {
	if rule == "all" {
		return m.verdict() == "reject"
	}
	return m.does == accepts
}

// decisive are those on whom the answer rests, in the order in which they came.
func decisive(rule string, came []member) []member {
	with := func(keep func(member) bool) (all []member) {
		for _, m := range came {
			if keep(m) {
				all = append(all, m)
			}
		}
		return all
	}
	accepting := func(m member) bool { return m.verdict() == "accept" }
	rejecting := func(m member) bool { return m.verdict() == "reject" }
	var preferred [][]member
	if rule == "all" {
		preferred = [][]member{with(rejecting), came}
	} else {
		// A fallback that accepts counts only where no decider decided.
		preferred = [][]member{
			with(func(m member) bool { return m.does == accepts }), with(func(m member) bool { return m.does == rejects }),
			with(accepting), with(rejecting),
		}
	}
	return preferred[slices.IndexFunc(preferred, func(all []member) bool { return len(all) > 0 })]
}

func votes(members []member, counted []int) string {
	var all []string
	for i, m := range members {
		if slices.Contains(counted, i) {
			all = append(all, m.situation())
		} else {
			all = append(all, "unheard")
		}
	}
	return strings.Join(all, " ")
}

func notes(members []member, counted []int) string {
	var lines []string
	for i, m := range members {
		if slices.Contains(counted, i) {
			lines = append(lines, m.name+": "+m.note())
		}
	}
	return strings.Join(lines, "\n")
}

// permutations are all orders of some numbers.
func permutations(of []int) [][]int {
	if len(of) == 0 {
		return [][]int{{}}
	}
	var all [][]int
	for i, first := range of {
		for _, others := range permutations(slices.Delete(slices.Clone(of), i, i+1)) {
			all = append(all, append([]int{first}, others...))
		}
	}
	return all
}
