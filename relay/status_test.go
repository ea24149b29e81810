package relay

import (
	"slices"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestStatuses_SayWhatThereIsToKnow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := []Key{NewKey("first", testKey)}
	err := r.reload(
		Integration{Name: "tests", Site: "lab", DisplayName: "The\u202e lab", Test: true, ExternalID: "HQ-7", Keys: key, Deciders: []Decider{{Name: "a"}, {Name: "b", Shadow: true}}},
		Integration{Name: "lobby", Site: "hq", NotConfirmed: true, Keys: key},
		Integration{Name: "broken", Invalid: true},
	)
	if err != nil {
		t.Fatal(err)
	}
	all := r.Statuses()
	if len(all) != 3 || all[0].Name != "broken" || !all[0].Invalid || all[1].Name != "lobby" || !all[1].NotConfirmed || all[1].Site != "hq" || all[1].TimeZone != "UTC" {
		t.Fatalf("%+v", all)
	}
	tests := all[2]
	if !tests.Test || tests.DisplayName != "The lab" || tests.ExternalID != "HQ-7" || !slices.Equal(tests.Deciders, []string{"a", "b"}) || !tests.LastReceived.IsZero() {
		t.Errorf("%+v", tests)
	}
}

func TestStatuses_NameTheFieldsThatDriftOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, event := range []string{"signin_after", "signin_before"} {
		r.come(0, 60, event)
	}
	for _, event := range []string{"signin_after", "signin_before"} {
		r.come(100, 10, event, renamedCompany...)
	}
	if got := r.Statuses()[0].Drifting; !slices.Equal(got, []string{"company"}) {
		t.Errorf("%q drift", got)
	}
}

// Who polls a relay that nobody calls must see since when.
func TestStatuses_TheLastWebhookOutlastsAReload(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	last := func() time.Time {
		return r.Statuses()[slices.IndexFunc(r.Statuses(), func(s visit.RelayIntegration) bool { return s.Name == "lobby" })].LastReceived
	}
	r.post("/sine/lobby", visitor(1, "signin_after"), with("wrong"))
	if got := last(); !got.IsZero() {
		t.Errorf("a wrong key counts: %s", got)
	}
	before := time.Now().Add(-time.Second)
	r.come(1, 1, "signin_after")
	received := last()
	if received.Before(before) || received.After(time.Now()) {
		t.Errorf("received at %s", received)
	}
	if err := r.reload(Integration{Name: "lobby", Site: "hq", Keys: []Key{NewKey("second", testKey+"2")}}); err != nil {
		t.Fatal(err)
	}
	if got := last(); !got.Equal(received) {
		t.Errorf("after a reload: %s, want %s", got, received)
	}
}
