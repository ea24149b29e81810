package policy

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

var seed = flag.Uint64("seed", 0, "first seed of the property tests; 0 chooses one")

// marker is in every text that a decider or an order's author wrote.
const marker = "WRITTEN"

// sample is one visitor at one site, made up from a seed.
type sample struct {
	*rand.Rand
	policy Policy
	asked  []string
	votes  []Vote // in the order in which they come; some of the asked do not vote
	orders []visit.Order
}

// eachSample runs a property on thousands of samples. It stops at the first that
// fails, and says how to have it again.
func eachSample(t *testing.T, property func(s *sample) error) {
	t.Helper()
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	for i := range uint64(3000) {
		s := newSample(first + i)
		if err := property(s); err != nil {
			t.Fatalf("-seed %d: %v\n%s: %+v\nasked %v\nvotes %+v\norders %+v",
				first+i, err, s.policy.Combination, s.policy.Deciders, s.asked, s.votes, s.orders)
		}
	}
}

func newSample(seed uint64) *sample {
	s := &sample{Rand: rand.New(rand.NewPCG(seed, 0))}
	s.policy = Policy{Combination: choose(s, All, Any), Fallbacks: s.fallbacks(Missed)}
	for i := range 1 + s.IntN(6) {
		s.policy.Deciders = append(s.policy.Deciders, Decider{
			Name: fmt.Sprintf("d%d", i), Shadow: i > 0 && s.IntN(3) == 0, Fallbacks: s.fallbacks(Unanswered),
		})
	}
	s.Shuffle(len(s.policy.Deciders), func(i, j int) {
		s.policy.Deciders[i], s.policy.Deciders[j] = s.policy.Deciders[j], s.policy.Deciders[i]
	})
	var err error
	if s.policy, err = s.policy.Complete(); err != nil {
		panic(err)
	}
	for _, d := range s.policy.Deciders {
		s.ask(d.Name)
	}
	s.Shuffle(len(s.votes), func(i, j int) { s.votes[i], s.votes[j] = s.votes[j], s.votes[i] })
	for range s.IntN(4) {
		s.orders = append(s.orders, s.order())
	}
	return s
}

func choose[T any](s *sample, from ...T) T { return from[s.IntN(len(from))] }

// text is empty now and then.
func (s *sample) text(of string) string { return choose(s, "", marker+" by "+of) }

func (s *sample) fallbacks(situations []Situation) map[Situation]Fallback {
	all := map[Situation]Fallback{}
	for _, situation := range situations {
		if s.IntN(2) == 0 {
			all[situation] = Fallback{choose(s, "", visit.Accept, visit.Reject), s.text("site"), s.text("site")}
		}
	}
	return all
}

// ask asks a decider, or does not; it votes, or does not.
func (s *sample) ask(decider string) {
	if s.IntN(5) == 0 {
		return
	}
	s.asked = append(s.asked, decider)
	switch s.IntN(6) {
	case 0:
	case 1, 2:
		s.votes = append(s.votes, Vote{Decider: decider, Situation: choose(s, Unanswered...)})
	default:
		s.votes = append(s.votes, Vote{Decider: decider, Situation: Decided, Decision: visit.Decision{
			Verdict: choose(s, visit.Accept, visit.Accept, visit.Reject), VisitorText: s.text(decider), AdminNote: s.text(decider),
			Pass: map[string]json.RawMessage{choose(s, "badge", "floor"): json.RawMessage(`"` + marker + decider + `"`)},
		}})
	}
}

func (s *sample) order() visit.Order {
	return visit.Order{
		Kind: choose(s, visit.OrderLockdown, visit.OrderOverride), Site: choose(s, "hq", "lab", visit.AllSites), Message: s.text("order"), Reason: marker, By: marker,
		Since: noon.Add(-time.Hour), Until: noon.Add(time.Duration(s.IntN(3)-1) * time.Minute),
	}
}

// every decides with all votes in, early as soon as the verdict is settled.
func (s *sample) every(active ActiveOrder) Decision {
	t := s.policy.Ballot(s.asked)
	for _, v := range s.votes {
		t.Add(v)
	}
	return t.Decide(active)
}

func (s *sample) early(active ActiveOrder) Decision {
	t := s.policy.Ballot(s.asked)
	for i := 0; i < len(s.votes) && !t.Settled(); i++ {
		t.Add(s.votes[i])
	}
	return t.Decide(active)
}

// stance is what an asked decider counts for, found without the code under test.
type stance struct {
	verdict  visit.Verdict
	fallback bool
}

func (s *sample) stances() []stance {
	var all []stance
	for _, d := range s.policy.Deciders {
		if d.Shadow || !slices.Contains(s.asked, d.Name) {
			continue
		}
		i := slices.IndexFunc(s.votes, func(v Vote) bool { return v.Decider == d.Name })
		switch {
		case i < 0:
			all = append(all, stance{d.Fallbacks[Timeout].Verdict, true})
		case s.votes[i].Situation != Decided:
			all = append(all, stance{d.Fallbacks[s.votes[i].Situation].Verdict, true})
		default:
			all = append(all, stance{s.votes[i].Decision.Verdict, false})
		}
	}
	return all
}
