package visit_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestLocalTime_IsInTheTimeZoneOfTheSite(t *testing.T) {
	// As Sine writes it: in UTC.
	written := time.Date(2026, 11, 18, 21, 42, 31, 0, time.UTC)
	for _, c := range []struct{ zone, want string }{
		{"Australia/Adelaide", "Thu 2026-11-19 08:12"},
		{"America/Los_Angeles", "Wed 2026-11-18 13:42"},
		{"UTC", "Wed 2026-11-18 21:42"},
	} {
		o := visit.Origin{Time: written, TimeZone: c.zone}
		got, err := o.LocalTime()
		if err != nil || got.Format("Mon 2006-01-02 15:04") != c.want || !got.Equal(written) {
			t.Errorf("in %s it is %s, %v; want %s", c.zone, got, err, c.want)
		}
	}
}

// A decider that took UTC for the site's time would let people in at night.
func TestLocalTime_AnUnknownTimeZoneIsNotUTC(t *testing.T) {
	if at, err := (visit.Origin{Time: time.Now()}).LocalTime(); !errors.Is(err, visit.ErrNoTimeZone) || !at.IsZero() {
		t.Errorf("without a time zone: %s, %v", at, err)
	}
	if at, err := (visit.Origin{Time: time.Now(), TimeZone: "Mars/Olympus"}).LocalTime(); err == nil || !at.IsZero() {
		t.Errorf("in an unknown time zone: %s, %v", at, err)
	}
}

func TestTrace_OnlyWellFormedIDsAreTaken(t *testing.T) {
	const good, parent = "2f1f0c8e-5b8a-4d8f-9b57-0f4d6d1c7a11", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	if got := visit.NewTrace(good, parent); got.XRequestID != good || got.Traceparent != parent || got.TraceID() != parent[3:35] {
		t.Errorf("%+v", got)
	}
	for _, id := range []string{
		"7F000001:C0A8_1F90:0000_5F3B6B2C", "0f4d6d1c7a112f1f0c8e5b8a4d8f9b57", "01JD6Z7M8Q4W5X6Y7Z8A9B0C1D",
	} {
		if got := visit.NewTrace(id, "").XRequestID; got != id {
			t.Errorf("the request id %q became %q", id, got)
		}
	}
	for name, id := range map[string]string{
		"nothing": "", "short": "42", "a name": "Ada-Lovelace-of-London", "an address": "ada.lovelace1815@example.com",
		"a telephone number": "+61412345678", "digits of one": "61412345678", "blanks": good + " x", "a line break": good + "\nx",
		"too long": strings.Repeat("a1", 65), "a quote": good + `"`, "not ASCII": good + "é",
	} {
		if got := visit.NewTrace(id, ""); got != (visit.Trace{}) {
			t.Errorf("%s: %q was taken up", name, id)
		}
	}
	for name, p := range map[string]string{
		"upper case": strings.ToUpper(parent), "another version": "01" + parent[2:], "the invalid version": "ff" + parent[2:],
		"no trace": "00-" + strings.Repeat("0", 32) + parent[35:], "no parent": parent[:36] + strings.Repeat("0", 16) + "-01",
		"something behind": parent + "-00", "short": parent[:54], "white space": " " + parent,
	} {
		if got := visit.NewTrace("", p); got != (visit.Trace{}) || got.TraceID() != "" {
			t.Errorf("%s: %q was taken up", name, p)
		}
	}
}

func TestTrace_RoundTripsThroughHeaders(t *testing.T) {
	m := map[string][]string{}
	for name, value := range trace.Headers() {
		m[name] = []string{value}
	}
	if got := visit.TraceFromHeaders(m); got != trace || len(m) != 2 {
		t.Errorf("%+v came back as %+v", trace, got)
	}
	m[visit.HeaderXRequestID] = []string{"Ada Lovelace, by somebody else on NATS"}
	if got := visit.TraceFromHeaders(m); got.XRequestID != "" {
		t.Errorf("%q was taken up", got.XRequestID)
	}
}
