package relay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestDuplicates_AreCountedByTheTimeSinceTheFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.post("/sine/lobby", checkedIn)
	if !strings.Contains(string(gather(t, r)), "sine_relay_event_duplicate_age_seconds_count 0") {
		t.Error("the first was counted as a repeat")
	}
	r.post("/sine/lobby", checkedIn)
	if !strings.Contains(string(gather(t, r)), "sine_relay_event_duplicate_age_seconds_count 1") {
		t.Error("the repeat was not counted")
	}
}

func TestDuplicates_AreBounded(t *testing.T) {
	t.Parallel()
	r := newDuplicates()
	now := time.Unix(0, 0)
	for i := range remembered + 10 {
		if _, again := r.seen("lobby", fmt.Append(nil, i), now); again {
			t.Fatalf("%d was taken for a repeat", i)
		}
	}
	if len(r.first) != remembered || len(r.of["lobby"]) != remembered {
		t.Errorf("%d remembered", len(r.first))
	}
	if since, again := r.seen("lobby", []byte("20"), now.Add(time.Minute)); !again || since != time.Minute {
		t.Errorf("since %s, again %v", since, again)
	}
	if _, again := r.seen("cellar", []byte("20"), now); again {
		t.Error("another integration's body was taken for a repeat")
	}
}

// Whoever sends one body after another pushes out its own, and not those of others.
func TestDuplicates_OneIntegrationDoesNotPushOutWhatOthersSent(t *testing.T) {
	t.Parallel()
	r := newDuplicates()
	now := time.Unix(0, 0)
	for i := range 100 {
		r.seen("quiet", fmt.Append(nil, i), now)
	}
	for i := range 2 * remembered {
		r.seen("hog", fmt.Append(nil, i), now)
	}
	for i := range 100 {
		if _, again := r.seen("quiet", fmt.Append(nil, i), now.Add(time.Minute)); !again {
			t.Fatalf("body %d is forgotten", i)
		}
	}
	for i := range 1000 {
		r.seen("late", fmt.Append(nil, i), now)
	}
	if len(r.of["late"]) != 1000 || len(r.first) != remembered {
		t.Errorf("the late one has %d of %d", len(r.of["late"]), len(r.first))
	}
}

// Two people of a group shared an id and a second: the second was lost.
func TestVisitIDs_TwoBodiesOfOneVisitAreTwoEventsAndCounted(t *testing.T) {
	t.Parallel()
	const ada = `{"event":"signin_after","date":"2026-11-18T21:42:31Z","data":{"id":"group-7","firstName":"Ada"}}`
	bob := strings.Replace(ada, "Ada", "Bob", 1)
	later := strings.Replace(bob, ":31Z", ":32Z", 1)
	out := strings.Replace(bob, "signin", "signout", 1)
	r := newRig(t)
	conflicts := func() string {
		for line := range strings.Lines(string(gather(t, r))) {
			if value, ok := strings.CutPrefix(line, `sine_relay_visit_id_conflicts_total{integration="lobby"} `); ok {
				return strings.TrimSpace(value)
			}
		}
		return "none"
	}
	for i, c := range []struct{ name, body, counted string }{
		{"the first of the group", ada, "0"}, {"her repeat", ada, "0"}, {"another date", later, "0"}, {"another kind", out, "0"},
		{"the second of the group", bob, "1"}, {"his repeat", bob, "1"}, {"her repeat after him", ada, "1"},
		{"no id", `{"event":"signin_after","date":"2026-11-18T21:42:31Z","data":{"firstName":"Ada"}}`, "1"},
		{"no id either", `{"event":"signin_after","date":"2026-11-18T21:42:31Z","data":{"firstName":"Bob"}}`, "1"},
	} {
		if w := r.post("/sine/lobby", c.body); w.Code != 200 || conflicts() != c.counted || len(r.broker.published) != i+1 {
			t.Errorf("%s: answered %d, counted %s, want %s", c.name, w.Code, conflicts(), c.counted)
		}
	}
	ids := map[string]bool{}
	for _, m := range r.broker.published {
		ids[m.ID] = true
	}
	if len(ids) != 6 {
		t.Errorf("%d events of 6", len(ids))
	}
}

func TestVisitIDs_AreBounded(t *testing.T) {
	t.Parallel()
	i := newVisitIDs()
	see := func(integration string, visitID int, body string) bool {
		return i.conflict(integration, visit.KindCheckedIn, fmt.Sprint(visitID), "d", []byte(body))
	}
	see("dock", 1, "Ada")
	for n := range 10 * rememberedVisits {
		if see("lobby", n, "Ada") {
			t.Fatalf("visit %d was taken for another", n)
		}
	}
	for n := range 3 * rememberedBodies {
		if conflict := see("attic", 1, fmt.Sprint(n)); conflict != (n > 0) {
			t.Errorf("body %d: %v", n, conflict)
		}
	}
	if n := len(i.of["lobby"].bodies); n != rememberedVisits {
		t.Errorf("%d visits are remembered", n)
	}
	for identity, bodies := range i.of["attic"].bodies {
		if len(bodies) != rememberedBodies {
			t.Errorf("%d bodies of %d are remembered", len(bodies), identity)
		}
	}
	if !see("dock", 1, "Bob") {
		t.Error("one integration's visits pushed out another's")
	}
}
