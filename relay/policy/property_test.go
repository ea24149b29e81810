package policy

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

func TestProperty_NoRejectionIsLostUnderAll(t *testing.T) {
	eachSample(t, func(s *sample) error {
		stances := s.stances()
		if s.policy.Combination != All || len(stances) == 0 {
			return nil
		}
		want := visit.Accept
		if slices.ContainsFunc(stances, func(v stance) bool { return v.verdict == visit.Reject }) {
			want = visit.Reject
		}
		return expect(want, s.every(none), s.early(none))
	})
}

func TestProperty_AnyAcceptsWhenADeciderDoesOrFallbacksAreAllThereIs(t *testing.T) {
	eachSample(t, func(s *sample) error {
		stances := s.stances()
		if s.policy.Combination != Any || len(stances) == 0 {
			return nil
		}
		decided := slices.ContainsFunc(stances, func(v stance) bool { return !v.fallback })
		want := visit.Reject
		for _, v := range stances {
			if v.verdict == visit.Accept && (!v.fallback || !decided) {
				want = visit.Accept
			}
		}
		return expect(want, s.every(none), s.early(none))
	})
}

func expect(want visit.Verdict, decisions ...Decision) error {
	for _, a := range decisions {
		if a.Verdict != want {
			return fmt.Errorf("want %s, got %+v", want, a)
		}
	}
	return nil
}

func TestProperty_TheOrderOfArrivalChangesNoVerdict(t *testing.T) {
	eachSample(t, func(s *sample) error {
		for _, active := range []ActiveOrder{none, {}} {
			want := s.every(active)
			for range 5 {
				s.Shuffle(len(s.votes), func(i, j int) { s.votes[i], s.votes[j] = s.votes[j], s.votes[i] })
				every, early := s.every(active), s.early(active)
				if every.Verdict != want.Verdict || every.Fallback != want.Fallback || early.Verdict != want.Verdict {
					return fmt.Errorf("first %+v\nthen %+v\nearly %+v", want, every, early)
				}
			}
		}
		return nil
	})
}

func TestProperty_ShadowsChangeNothing(t *testing.T) {
	eachSample(t, func(s *sample) error {
		without := *s
		without.policy.Deciders = slices.DeleteFunc(slices.Clone(s.policy.Deciders), func(d Decider) bool { return d.Shadow })
		for _, active := range []ActiveOrder{none, {}, NewOrders(s.orders).At("hq", noon)} {
			if a, b := s.every(active), without.every(active); !reflect.DeepEqual(a, b) {
				return fmt.Errorf("with %+v\nwithout %+v", a, b)
			}
			if a, b := s.early(active), without.early(active); !reflect.DeepEqual(a, b) {
				return fmt.Errorf("early: with %+v\nwithout %+v", a, b)
			}
		}
		return nil
	})
}

func TestProperty_UnknownOrdersAcceptNobodyWithoutADecision(t *testing.T) {
	eachSample(t, func(s *sample) error {
		stances := s.stances()
		accepted := func(v stance) bool { return v == stance{visit.Accept, false} }
		want := visit.Reject
		if s.policy.Combination == Any && slices.ContainsFunc(stances, accepted) ||
			len(stances) > 0 && !slices.ContainsFunc(stances, func(v stance) bool { return !accepted(v) }) {
			want = visit.Accept
		}
		every, early := s.every(ActiveOrder{}), s.early(ActiveOrder{})
		if want == visit.Accept && (every.Fallback || every.Situation != Decided) {
			return fmt.Errorf("by fallback: %+v", every)
		}
		for _, situation := range Missed {
			if a := s.policy.Fallback(situation, ActiveOrder{}); a.Verdict != visit.Reject {
				return fmt.Errorf("%s: %+v", situation, a)
			}
		}
		return expect(want, every, early)
	})
}

func TestProperty_ALockdownRejectsAndAnOverrideAcceptsUnlessThereIsOne(t *testing.T) {
	eachSample(t, func(s *sample) error {
		inForce := func(kind visit.OrderKind) bool {
			return slices.ContainsFunc(s.orders, func(o visit.Order) bool { return o.Kind == kind && o.Site != "lab" && o.Until.After(noon) })
		}
		for _, a := range s.decisions(NewOrders(s.orders).At("hq", noon)) {
			switch {
			case inForce(visit.OrderLockdown) && (a.Situation != LockedDown || a.Verdict != visit.Reject):
				return fmt.Errorf("lockdown: %+v", a)
			case !inForce(visit.OrderLockdown) && inForce(visit.OrderOverride) && (a.Situation != Overridden || a.Verdict != visit.Accept):
				return fmt.Errorf("override: %+v", a)
			case !inForce(visit.OrderLockdown) && !inForce(visit.OrderOverride) && (a.Situation == LockedDown || a.Situation == Overridden):
				return fmt.Errorf("no order: %+v", a)
			}
		}
		return nil
	})
}

// decisions are those of every way to have one.
func (s *sample) decisions(active ActiveOrder) []Decision {
	all := []Decision{s.every(active), s.early(active), s.policy.Ballot(s.asked).Decide(active)}
	for _, situation := range Missed {
		all = append(all, s.policy.Fallback(situation, active))
	}
	return all
}

func TestProperty_EveryDecisionIsComplete(t *testing.T) {
	eachSample(t, func(s *sample) error {
		for _, active := range []ActiveOrder{none, {}, NewOrders(s.orders).At("hq", noon)} {
			for _, a := range s.decisions(active) {
				if a.Verdict != visit.Accept && (a.Verdict != visit.Reject || a.VisitorText == "") {
					return fmt.Errorf("neither accepts nor rejects with a text: %+v", a)
				}
				if a.Fallback != slices.Contains(Missed, a.Situation) || a.Situation == Unheard {
					return fmt.Errorf("by fallback or not: %+v", a)
				}
				if !strings.Contains(a.Rule, pastTense(a.Verdict)) {
					return fmt.Errorf("the rule says nothing: %+v", a)
				}
			}
		}
		return nil
	})
}

// The record of decisions must hold no personal data, and texts may.
func TestProperty_NothingThatSomebodyWroteIsForTheRecord(t *testing.T) {
	eachSample(t, func(s *sample) error {
		for _, active := range []ActiveOrder{none, {}, NewOrders(s.orders).At("hq", noon)} {
			ballot := s.policy.Ballot(s.asked)
			for _, v := range s.votes {
				ballot.Add(v)
			}
			a := ballot.Decide(active)
			if record := fmt.Sprintf("%s %s %s %+v", a.Situation, a.By, a.Rule, ballot.Records()); strings.Contains(record, marker) {
				return errors.New(record)
			}
		}
		return nil
	})
}

func TestProperty_TheOnlyDeciderDecides(t *testing.T) {
	eachSample(t, func(s *sample) error {
		if len(s.policy.Deciders) != 1 || len(s.votes) != 1 {
			return nil
		}
		v, p := s.votes[0], s.policy
		want := p.count(p.Deciders[0], v, true)
		if want.Verdict == visit.Reject {
			want.Pass = nil
		}
		if a := s.every(none); !reflect.DeepEqual(a.Decision, want.Decision) || a.Situation != want.Situation {
			return fmt.Errorf("want %+v, got %+v", want, a)
		}
		return nil
	})
}
