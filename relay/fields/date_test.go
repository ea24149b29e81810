package fields

import (
	"cmp"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestDate_TimeBasisAndPrecisionFollowItsText(t *testing.T) {
	adelaide, err := time.LoadLocation("Australia/Adelaide")
	if err != nil {
		t.Fatal(err)
	}
	received := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	for _, c := range []struct {
		name, raw string
		want      string
		basis     visit.TimeBasis
		precise   bool
	}{
		{"ISO with Z", `"2026-11-18T21:42:31.000Z"`, "2026-11-18T21:42:31Z", visit.TimeFromSine, true},
		{"ISO with microseconds", `"2026-11-18T21:42:31.123456Z"`, "2026-11-18T21:42:31.123456Z", visit.TimeFromSine, true},
		{"ISO with an offset", `"2026-11-19T17:30:00+10:30"`, "2026-11-19T07:00:00Z", visit.TimeFromSine, true},
		{"an offset without a colon", `"2026-11-19T17:30:00+1030"`, "2026-11-19T07:00:00Z", visit.TimeFromSine, true},
		{"a space for the T", `"2026-11-19 17:30:00+10:30"`, "2026-11-19T07:00:00Z", visit.TimeFromSine, true},
		{"no zone", `"2026-11-19T17:30:00"`, "2026-11-19T07:00:00Z", visit.TimeInAssumedZone, true},
		{"no zone and a fraction", `"2026-11-19T17:30:00.5"`, "2026-11-19T07:00:00.5Z", visit.TimeInAssumedZone, true},
		{"minutes only", `"2026-11-19T17:30Z"`, "2026-11-19T17:30:00Z", visit.TimeFromSine, false},
		{"minutes without a zone", `"2026-11-19T17:30"`, "2026-11-19T07:00:00Z", visit.TimeInAssumedZone, false},
		{"epoch milliseconds", `1795038151000`, "2026-11-18T21:42:31Z", visit.TimeFromSine, true},
		{"epoch milliseconds as text", `"1795038151250"`, "2026-11-18T21:42:31.25Z", visit.TimeFromSine, true},
		{"epoch seconds", `1795038151`, "2026-11-18T21:42:31Z", visit.TimeFromSine, true},
		{"epoch seconds with a fraction", `1795038151.25`, "2026-11-18T21:42:31.25Z", visit.TimeFromSine, true},
		{"a number that is no date", `12`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"not a number", `"NaN"`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"an infinite number", `1e999`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"a zone a day away", `"2026-03-01T10:00:00+24:00"`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"a hexadecimal number", `"0x1p31"`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"a day", `"2026-11-18"`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"prose", `"yesterday"`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"null", `null`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"nothing", ``, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"an object", `{"iso":"2026"}`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"a boolean", `true`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			sent, reason := Default.Read([]byte(`{"date":`+cmp.Or(c.raw, "null")+`}`), 32)
			if reason != "" {
				t.Fatal(reason)
			}
			w := Default.ReadDate(sent.Date, adelaide, received)
			if got := w.Time.UTC().Format(time.RFC3339Nano); got != c.want || w.Basis != c.basis || w.Precise != c.precise {
				t.Errorf("%s %s precise=%v, want %s %s precise=%v", got, w.Basis, w.Precise, c.want, c.basis, c.precise)
			}
		})
	}
}
