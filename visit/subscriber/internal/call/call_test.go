package call_test

import (
	"errors"
	"testing"

	"github.com/sine-relay/sine-relay/visit/subscriber/internal/call"
)

func TestEvent_SaysWhatAMessageIsInstead(t *testing.T) {
	for message, want := range map[string]string{
		"nonsense":              "invalid event",
		"[]":                    "invalid event",
		`{"decision":"accept"}`: "invalid event",
		`{"id":"1"}`:            "invalid event",
		`{"kind":"checked_in"}`: "invalid event",
		`{"id":"1","specversion":"1.0","data":{"id":"1","kind":"checked_in"}}`: "invalid event: a CloudEvent in structured mode, where binary mode is the contract",
	} {
		if _, err := call.Event([]byte(message)); !errors.Is(err, call.ErrInvalidEvent) || err.Error() != want {
			t.Errorf("%s: %v", message, err)
		}
	}
	if e, err := call.Event([]byte(`{"id":"1","kind":"of a later version"}`)); err != nil || e.ID != "1" {
		t.Errorf("%+v %v", e, err)
	}
}
