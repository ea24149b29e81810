package visit_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

// These ids are part of the contract: a relay of another version must give a
// repeat the same id.
func TestEventID_IsFrozen(t *testing.T) {
	for name, c := range map[string]struct {
		f    visit.Fingerprint
		want string
	}{
		"a precise date":           {visit.Fingerprint{Date: "d", PreciseDate: true, Body: []byte("b")}, "648c01a69d47ba08d839b7892810b8d9"},
		"a visit and any date":     {visit.Fingerprint{PassID: "p", Date: "d", Body: []byte("b")}, "648c01a69d47ba08d839b7892810b8d9"},
		"a visit and precise date": {visit.Fingerprint{PassID: "p", Date: "d", PreciseDate: true, Body: []byte("b")}, "648c01a69d47ba08d839b7892810b8d9"},
		"a call, submitted again":  {visit.Fingerprint{ReplayedRequestID: "c", Body: []byte("b")}, "50cc5d6be4727b847a212b84be9707e3"},
	} {
		if got := visit.EventID("lobby", visit.KindCheckedIn, c.f); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Parts are told apart by their length: moving a letter from one to the next
// makes another id.
func TestEventID_PartsDoNotRunTogether(t *testing.T) {
	a := visit.EventID("lobby", visit.KindCheckedIn, visit.Fingerprint{PreciseDate: true, Body: []byte("b")})
	b := visit.EventID("lobb", visit.KindCheckedIn, visit.Fingerprint{PreciseDate: true, Body: []byte("yb")})
	c := visit.EventID("lobby", visit.KindCheckedIn, visit.Fingerprint{ReplayedRequestID: "b"})
	if a == b || a == c {
		t.Error("different parts gave the same id")
	}
}

// Whatever they share, two bodies are two events.
func TestEventID_DiffersForEachBody(t *testing.T) {
	for name, f := range map[string]visit.Fingerprint{
		"a visit and a date": {PassID: "p", Date: "d"}, "a precise date": {Date: "d", PreciseDate: true},
		"both": {PassID: "p", Date: "d", PreciseDate: true}, "neither": {},
	} {
		one, other := f, f
		one.Body, other.Body = []byte("Ada"), []byte("Bob")
		if visit.EventID("lobby", visit.KindCheckedIn, one) == visit.EventID("lobby", visit.KindCheckedIn, other) {
			t.Errorf("they share %s, and are one event", name)
		}
	}
}

func TestEventID_IsRandomWithoutAVisitOrPreciseDate(t *testing.T) {
	f := visit.Fingerprint{Date: "2026-11-18", Body: []byte("b")}
	a, b := visit.EventID("lobby", visit.KindCheckedIn, f), visit.EventID("lobby", visit.KindCheckedIn, f)
	if a == b || len(a) != 32 {
		t.Errorf("%s %s", a, b)
	}
}

func TestRequestID_IsUniqueAndReadable(t *testing.T) {
	form := regexp.MustCompile(`^[2-9A-HJ-NP-Z]{20}$`)
	seen := map[string]bool{}
	for range 1000 {
		id := visit.NewRequestID()
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("%s", id)
		}
		seen[id] = true
	}
	if got := visit.Reference("K7Q2M34567"); got != "K7Q2M" {
		t.Error(got)
	}
	if got := visit.Reference("K7"); got != "K7" {
		t.Error(got)
	}
}

func TestVisitKey_ReplacesAnOddID(t *testing.T) {
	for id, want := range map[string]visit.VisitKey{
		"": {Basis: visit.VisitKeyNone},
		// As docs/contract.md says, whose readers make the keys themselves.
		"4711/2026":              {Value: "0e8fe5072f1e128d0701dc9e13a42cc3", Basis: visit.VisitKeyFromSine},
		"1844674407370955161599": {Value: "1844674407370955161599", Basis: visit.VisitKeyFromSine},
	} {
		if got := visit.NewVisitKey(id); got != want {
			t.Errorf("%q: %+v", id, got)
		}
	}
	for _, odd := range []string{"a b", "x\r\nNats-Rollup: all", "ada@example.com", strings.Repeat("x", 129)} {
		if k := visit.NewVisitKey(odd); len(k.Value) != 32 || k.Basis != visit.VisitKeyFromSine {
			t.Errorf("%q: %+v", odd, k)
		}
	}
}

func TestValidName_AcceptsSubjectTokensOnly(t *testing.T) {
	for name, want := range map[string]bool{
		"hq": true, "Head_Office-2": true, strings.Repeat("x", 64): true,
		"": false, "a.b": false, ">": false, "*": false, "a b": false, "é": false, strings.Repeat("x", 65): false, "a\n": false,
	} {
		if visit.ValidName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestSubjects_HaveTheirPrefix(t *testing.T) {
	var s visit.Subjects
	for got, want := range map[string]string{
		s.Ask("hq", "watchlist"):            "visitors.v1.ask.hq.watchlist",
		s.Event("hq", visit.KindCheckedIn):  "visitors.v1.event.hq.checked_in",
		s.Events("hq"):                      "visitors.v1.event.hq.>",
		s.Quarantine("hq"):                  "visitors.v1.quarantine.hq",
		s.All(visit.RootAsk):                "visitors.v1.ask.>",
		visit.Subjects{"acme"}.Events("hq"): "acme.v1.event.hq.>",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
