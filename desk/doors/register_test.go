package doors

import (
	"fmt"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestRegister_CountsAProgramAsNATSDelivers(t *testing.T) {
	for subject, want := range map[string]int{
		"visitors.v1.ask.hq.default": 1, "visitors.v1.ask.*.default": 1, "visitors.v1.ask.hq.*": 1, "visitors.v1.ask.*.*": 1,
		"visitors.v1.ask.hq.>": 1, "visitors.v1.ask.*.>": 1, "visitors.v1.ask.>": 1,
		"visitors.v1.ask.lab.default": 0, "visitors.v1.ask.*.other": 0, "visitors.v1.ask.hq": 0, "visitors.v1.ask.hq.default.more": 0,
		"visitors.v1.ask.h*.default": 0, "visitors.v1.event.hq.default": 0, "other.v1.ask.hq.default": 0, ">": 0, "": 0,
	} {
		r, err := newRegister(visit.Subjects{}, []visit.Decider{{Subjects: []string{subject}}})
		if got := r.answering("hq", "default"); got != want || err != nil {
			t.Errorf("%q counts as %d, %v", subject, got, err)
		}
	}
}

// crowd is what hostile programs can answer a search with.
func crowd(programs, subjects int, name string) (all []visit.Decider) {
	for program := range programs {
		var d visit.Decider
		for i := range subjects {
			d.Subjects = append(d.Subjects, fmt.Sprintf("visitors.v1.ask.*.%s-%d-%d", name, program, i))
		}
		all = append(all, d)
	}
	return all
}

// A search takes up to 8 MiB of replies: some 200,000 subjects.
func TestView_ManySubjectsOfDecidersDoNotDelayIt(t *testing.T) {
	s := newSite()
	for i := range 90 {
		s.relays[0].Integrations = append(s.relays[0].Integrations, visit.RelayIntegration{Name: fmt.Sprint("lobby-", i), Site: "hq", Deciders: []string{"default"}})
	}
	s.relays[0].IntegrationCount = 90
	honest := visit.Decider{ID: "D", Subjects: []string{"visitors.v1.ask.*.default"}}
	for name, deciders := range map[string][]visit.Decider{
		"of deciders":       append(crowd(30, 7000, "d"), honest),
		"of something else": {honest, {Subjects: make([]string, 200_000)}},
	} {
		s.readable()
		begin := time.Now()
		s.Discovered(s.relays, nil, deciders, nil)
		v := s.View(func(string) bool { return true })
		if took := time.Since(begin); took > time.Second {
			t.Errorf("%s: it took %s", name, took)
		}
		if len(v.Doors) != 90 || v.Doors[0].State != NeverUsed || v.Doors[0].Deciders[0].Programs != 1 {
			t.Errorf("%s: the first of %d doors is %+v", name, len(v.Doors), v.Doors[0])
		}
	}
}

// The program that is left out could be the only one of a door: the page says so.
func TestRegister_IsBoundedAndSaysThatSomeAreLeftOut(t *testing.T) {
	for name, deciders := range map[string][]visit.Decider{
		"of one program": crowd(1, maxSubjects+1, "d"), "of many programs": crowd(maxRegistered/maxSubjects+1, maxSubjects, "d"),
	} {
		s := newSite()
		s.Discovered(s.relays, nil, deciders, nil)
		if gaps := s.Gaps(); len(gaps) != 1 || gaps[0].Source != Deciders || !gaps[0].Partly || len(s.programs) > maxRegistered {
			t.Errorf("%s: %d are kept, and what is not known is %+v", name, len(s.programs), gaps)
		}
	}
}

func TestRegister_OfWhatAnsweredOnceIsBounded(t *testing.T) {
	s := newSite()
	for round := range 2 * maxSeen / maxRegistered {
		s.Discovered(s.relays, nil, crowd(maxRegistered/maxSubjects, maxSubjects, fmt.Sprint("d", round)), nil)
	}
	s.Discovered(s.relays, nil, crowd(1, 1, "last"), nil)
	if len(s.services) != maxSeen {
		t.Errorf("%d are remembered, want %d", len(s.services), maxSeen)
	}
}
