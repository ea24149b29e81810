package visit_test

import (
	"slices"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

func TestSituations_KeepTheirNames(t *testing.T) {
	got := []string{
		visit.SituationDecided, visit.SituationNoDecider, visit.SituationTimeout, visit.SituationDisconnected, visit.SituationDenied,
		visit.SituationBadReply, visit.SituationOverloaded, visit.SituationUnreadable, visit.SituationIncomplete, visit.SituationUnasked,
		visit.SituationOrdersUnknown, visit.SituationLockedDown, visit.SituationOverridden, visit.SituationUnheard,
	}
	want := []string{
		"decided", "no_decider", "timeout", "disconnected", "denied", "bad_reply", "overloaded", "unreadable", "incomplete", "unasked",
		"orders_unknown", "lockdown", "override", "unheard",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the situations are %q, want %q", got, want)
	}
}
