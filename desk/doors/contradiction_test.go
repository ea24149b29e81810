package doors

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func ofVisit(key string) visit.VisitKey {
	return visit.VisitKey{Basis: visit.VisitKeyFromSine, Value: key}
}

// said notes what happened to a visit: "reject", "accept" or "in", and how many seconds
// before noon.
func (s *site) said(key visit.VisitKey, what string, ago int) {
	at := noon.Add(-time.Duration(ago) * time.Second)
	switch what {
	case "in":
		s.Event(&visit.Event{Kind: visit.KindCheckedIn, Origin: visit.Origin{Site: "hq", Integration: "lobby", Received: at, Visit: key}})
	default:
		s.Record(&visit.Record{
			Site: "hq", Integration: "lobby", Received: at, Situation: "decided", Verdict: visit.Verdict(what), Visit: key,
			RequestID: fmt.Sprint("request-", ago), Reference: fmt.Sprint("REF", ago),
		})
	}
}

func TestContradiction_IsARejectionAndACheckInWithoutAnAcceptance(t *testing.T) {
	type said struct {
		what string
		ago  int
	}
	for name, c := range map[string]struct {
		visit visit.VisitKey
		said  []said
		want  string // the reference of the rejection
	}{
		"rejected and checked in":                {ofVisit("V"), []said{{"reject", 60}, {"in", 30}}, "REF60"},
		"rejected twice":                         {ofVisit("V"), []said{{"reject", 90}, {"reject", 60}, {"in", 30}}, "REF60"},
		"rejected, and let in at the second try": {ofVisit("V"), []said{{"reject", 60}, {"accept", 40}, {"in", 30}}, ""},
		"accepted, and then rejected":            {ofVisit("V"), []said{{"accept", 60}, {"reject", 40}, {"in", 30}}, "REF40"},
		"rejected after the check-in":            {ofVisit("V"), []said{{"accept", 60}, {"in", 30}, {"reject", 10}}, ""},
		"checked in within the same instant":     {ofVisit("V"), []said{{"in", 30}, {"reject", 30}}, "REF30"},
		"let in later, for another time":         {ofVisit("V"), []said{{"reject", 60}, {"in", 30}, {"accept", 20}, {"in", 10}}, "REF60"},
		"only rejected":                          {ofVisit("V"), []said{{"reject", 60}}, ""},
		"without an id of the visit":             {visit.VisitKey{Basis: visit.VisitKeyNone}, []said{{"reject", 60}, {"in", 30}}, ""},
		"a day ago":                              {ofVisit("V"), []said{{"reject", 86460}, {"in", 86430}}, ""},
	} {
		for _, order := range []string{"as it came", "the other way round"} { // relays store by themselves
			t.Run(name+", "+order, func(t *testing.T) {
				s := newSite()
				if order != "as it came" {
					slices.Reverse(c.said)
				}
				for _, one := range c.said {
					s.said(c.visit, one.what, one.ago)
				}
				got := ""
				if d := s.door(t); len(d.Contradictions) == 1 {
					got = d.Contradictions[0].Reference
				}
				if got != c.want {
					t.Errorf("it is %q, want %q", got, c.want)
				}
			})
		}
	}
}

func TestContradiction_IsOfTheCheckInThatWasMade(t *testing.T) {
	s := newSite()
	s.said(ofVisit("V"), "reject", 60)
	s.said(ofVisit("V"), "in", 30)
	s.said(ofVisit("W"), "in", 30)
	for _, c := range []struct {
		site, key string
		ago       time.Duration
		want      bool
	}{{"hq", "V", 30 * time.Second, true}, {"hq", "V", time.Minute, false}, {"hq", "W", 30 * time.Second, false}, {"plant", "V", 30 * time.Second, false}} {
		if got := s.Contradicted(c.site, c.key, noon.Add(-c.ago)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	s.Record(&visit.Record{Site: "hq", Integration: "lobby", Received: noon, Verdict: visit.Reject, Visit: ofVisit("T"), Synthetic: true})
	s.Event(&visit.Event{Kind: visit.KindCheckedIn, Origin: visit.Origin{Site: "hq", Integration: "lobby", Received: noon, Visit: ofVisit("T"), Synthetic: true}})
	if s.Contradicted("hq", "T", noon) {
		t.Error("a test of operators counts")
	}
	s.Forget()
	if d := s.door(t); len(d.Contradictions) != 0 {
		t.Errorf("what is going to be read again is %+v", d.Contradictions)
	}
}

func TestContradiction_VisitsAreBounded(t *testing.T) {
	s := newSite()
	for i := range maxVisits + 5 {
		key := ofVisit(fmt.Sprint("V", i))
		s.said(key, "reject", 100)
		for n := range 2 * maxSteps * (i % 1000 / 999) { // of some, much is said
			s.said(key, "reject", 99-n)
		}
		s.said(key, "in", 1)
	}
	if len(s.visits.steps) != maxVisits || len(s.visits.queue) != maxVisits || len(s.visits.found) != maxVisits {
		t.Errorf("%d visits, %d in the queue, %d found", len(s.visits.steps), len(s.visits.queue), len(s.visits.found))
	}
	for id, steps := range s.visits.steps {
		if len(steps) > maxSteps {
			t.Fatalf("of %s, %d steps are known", id.key, len(steps))
		}
	}
	if s.Contradicted("hq", "V0", noon.Add(-time.Second)) {
		t.Error("the first one is remembered")
	}
}
