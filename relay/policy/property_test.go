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
		if s.panel.Combination != All || len(stances) == 0 {
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
		if s.panel.Combination != Any || len(stances) == 0 {
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

func expect(want visit.Verdict, answers ...Answer) error {
	for _, a := range answers {
		if a.Verdict != want {
			return fmt.Errorf("want %s, got %+v", want, a)
		}
	}
	return nil
}

func TestProperty_TheOrderOfArrivalChangesNoVerdict(t *testing.T) {
	eachSample(t, func(s *sample) error {
		for _, st := range []Standing{none, {}} {
			want := s.every(st)
			for range 5 {
				s.Shuffle(len(s.votes), func(i, j int) { s.votes[i], s.votes[j] = s.votes[j], s.votes[i] })
				every, early := s.every(st), s.early(st)
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
		without.panel.Members = slices.DeleteFunc(slices.Clone(s.panel.Members), func(m Member) bool { return m.Shadow })
		for _, st := range []Standing{none, {}, NewOrders(s.orders).At("hq", noon)} {
			if a, b := s.every(st), without.every(st); !reflect.DeepEqual(a, b) {
				return fmt.Errorf("with %+v\nwithout %+v", a, b)
			}
			if a, b := s.early(st), without.early(st); !reflect.DeepEqual(a, b) {
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
		if s.panel.Combination == Any && slices.ContainsFunc(stances, accepted) ||
			len(stances) > 0 && !slices.ContainsFunc(stances, func(v stance) bool { return !accepted(v) }) {
			want = visit.Accept
		}
		every, early := s.every(Standing{}), s.early(Standing{})
		if want == visit.Accept && (every.Fallback || every.Situation != Decided) {
			return fmt.Errorf("by fallback: %+v", every)
		}
		for _, situation := range Missed {
			if a := s.panel.Policy.Fall(situation, Standing{}); a.Verdict != visit.Reject {
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
		for _, a := range s.answers(NewOrders(s.orders).At("hq", noon)) {
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

// answers are those of every way to have one.
func (s *sample) answers(st Standing) []Answer {
	all := []Answer{s.every(st), s.early(st), s.panel.Tally(s.asked).Answer(st)}
	for _, situation := range Missed {
		all = append(all, s.panel.Policy.Fall(situation, st))
	}
	return all
}

func TestProperty_EveryAnswerIsWhole(t *testing.T) {
	eachSample(t, func(s *sample) error {
		for _, st := range []Standing{none, {}, NewOrders(s.orders).At("hq", noon)} {
			for _, a := range s.answers(st) {
				if a.Verdict != visit.Accept && (a.Verdict != visit.Reject || a.VisitorText == "") {
					return fmt.Errorf("neither accepts nor rejects with a text: %+v", a)
				}
				if a.Fallback != slices.Contains(Missed, a.Situation) || a.Situation == Unheard {
					return fmt.Errorf("by fallback or not: %+v", a)
				}
				if !strings.Contains(a.Rule, did(a.Verdict)) {
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
		for _, st := range []Standing{none, {}, NewOrders(s.orders).At("hq", noon)} {
			tally := s.panel.Tally(s.asked)
			for _, v := range s.votes {
				tally.Add(v)
			}
			a := tally.Answer(st)
			if record := fmt.Sprintf("%s %s %s %+v", a.Situation, a.By, a.Rule, tally.Parts()); strings.Contains(record, marker) {
				return errors.New(record)
			}
		}
		return nil
	})
}

func TestProperty_APanelOfOneAnswersLikeItsDecider(t *testing.T) {
	eachSample(t, func(s *sample) error {
		if len(s.panel.Members) != 1 || len(s.votes) != 1 {
			return nil
		}
		v, p := s.votes[0], s.panel
		want := p.policyOf(p.Members[0]).count(v, true)
		if want.Verdict == visit.Reject {
			want.Pass = nil
		}
		if a := s.every(none); !reflect.DeepEqual(a.Decision, want.Decision) || a.Situation != want.Situation {
			return fmt.Errorf("want %+v, got %+v", want, a)
		}
		return nil
	})
}
