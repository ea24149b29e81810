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

// sample is one visitor at one door, made up from a seed.
type sample struct {
	*rand.Rand
	panel  Panel
	asked  []string
	votes  []Vote // in the order in which they come; some of the asked stay silent
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
				first+i, err, s.panel.Combination, s.panel.Members, s.asked, s.votes, s.orders)
		}
	}
}

func newSample(seed uint64) *sample {
	s := &sample{Rand: rand.New(rand.NewPCG(seed, 0))}
	s.panel = Panel{Combination: choose(s, All, Any), Policy: Policy{Fallbacks: s.fallbacks(Missed)}}
	for i := range 1 + s.IntN(6) {
		s.panel.Members = append(s.panel.Members, Member{
			Decider: fmt.Sprintf("d%d", i), Shadow: i > 0 && s.IntN(3) == 0, Fallbacks: s.fallbacks(Unanswered),
		})
	}
	s.Shuffle(len(s.panel.Members), func(i, j int) {
		s.panel.Members[i], s.panel.Members[j] = s.panel.Members[j], s.panel.Members[i]
	})
	var err error
	if s.panel, err = s.panel.Complete(); err != nil {
		panic(err)
	}
	for _, m := range s.panel.Members {
		s.ask(m.Decider)
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

// every answers with all votes in, early as soon as the verdict is settled.
func (s *sample) every(st Standing) Answer {
	t := s.panel.Tally(s.asked)
	for _, v := range s.votes {
		t.Add(v)
	}
	return t.Answer(st)
}

func (s *sample) early(st Standing) Answer {
	t := s.panel.Tally(s.asked)
	for i := 0; i < len(s.votes) && !t.Settled(); i++ {
		t.Add(s.votes[i])
	}
	return t.Answer(st)
}

// stance is what a member with a say stands for, told without the code under test.
type stance struct {
	verdict  visit.Verdict
	fallback bool
}

func (s *sample) stances() []stance {
	var all []stance
	for _, m := range s.panel.Members {
		if m.Shadow || !slices.Contains(s.asked, m.Decider) {
			continue
		}
		i := slices.IndexFunc(s.votes, func(v Vote) bool { return v.Decider == m.Decider })
		switch {
		case i < 0:
			all = append(all, stance{m.Fallbacks[Timeout].Verdict, true})
		case s.votes[i].Situation != Decided:
			all = append(all, stance{m.Fallbacks[s.votes[i].Situation].Verdict, true})
		default:
			all = append(all, stance{s.votes[i].Decision.Verdict, false})
		}
	}
	return all
}
