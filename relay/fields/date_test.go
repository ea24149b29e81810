package fields

import (
	"cmp"
	"strings"
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
		{"minutes and the hours of a zone", `"2026-11-19T17:30+10"`, "2026-11-19T07:30:00Z", visit.TimeFromSine, false},
		{"the basic form with minutes", `"20261119T1730Z"`, "2026-11-19T17:30:00Z", visit.TimeFromSine, false},
		{"the basic form with minutes and hours of a zone", `"20261119T1730+10"`, "2026-11-19T07:30:00Z", visit.TimeFromSine, false},
		{"the basic form with minutes without a zone", `"20261119T1730"`, "2026-11-19T07:00:00Z", visit.TimeInAssumedZone, false},
		{"minutes without a zone", `"2026-11-19T17:30"`, "2026-11-19T07:00:00Z", visit.TimeInAssumedZone, false},
		{"epoch milliseconds", `1795038151000`, "2026-11-18T21:42:31Z", visit.TimeFromSine, true},
		{"epoch milliseconds as text", `"1795038151250"`, "2026-11-18T21:42:31.25Z", visit.TimeFromSine, true},
		{"epoch seconds", `1795038151`, "2026-11-18T21:42:31Z", visit.TimeFromSine, true},
		{"epoch seconds with a fraction", `1795038151.25`, "2026-11-18T21:42:31.25Z", visit.TimeFromSine, true},
		{"a number that is no date", `12`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"not a number", `"NaN"`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"an infinite number", `1e999`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"a zone a day away", `"2026-03-01T10:00:00+24:00"`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"no date, as some programs write it", `"0001-01-01T00:00:00Z"`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"the beginning of the epoch", `"1970-01-01T00:00:00"`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"the end of all days", `"9999-12-31T23:59:59Z"`, "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"the first year", `"2000-01-01T00:00:00Z"`, "2000-01-01T00:00:00Z", visit.TimeFromSine, true},
		{"the last year", `"2099-12-31T23:59:59Z"`, "2099-12-31T23:59:59Z", visit.TimeFromSine, true},
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

func TestDate_ConfiguredFormatsAndZoneAreFollowed(t *testing.T) {
	adelaide, err := time.LoadLocation("Australia/Adelaide")
	if err != nil {
		t.Fatal(err)
	}
	received := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	for _, c := range []struct {
		format, written string
		want            string
		basis           visit.TimeBasis
		precise         bool
	}{
		{"%d/%m/%Y %H:%M:%S", "4/3/2026 05:06:07", "2026-03-04T05:06:07Z", visit.TimeInAssumedZone, true},
		{"%d/%m/%Y %H:%M:%S", "04/03/2026 05:06:07.25", "2026-03-04T05:06:07.25Z", visit.TimeInAssumedZone, true},
		{"%m/%d/%Y %I:%M %p", "3/4/2026 9:06 PM", "2026-03-04T21:06:00Z", visit.TimeInAssumedZone, false},
		{"%d.%m.%y, %H:%M", "4.3.26, 5:06", "2026-03-04T05:06:00Z", visit.TimeInAssumedZone, false},
		{"%a %e %B %Y %H:%M:%S %z", "Wed 4 March 2026 05:06:07 +0100", "2026-03-04T04:06:07Z", visit.TimeFromSine, true},
		{"%d/%m/%Y %H:%M:%S%z", "4/3/2026 05:06:07+01", "2026-03-04T04:06:07Z", visit.TimeFromSine, true},
		{"%d-%b-%Y (%H:%M:%S%z)", "04-Mar-2026 (05:06:07Z)", "2026-03-04T05:06:07Z", visit.TimeFromSine, true},
		{"%Y%m%d%H%M%S", "20260304050607", "2026-03-04T05:06:07Z", visit.TimeInAssumedZone, true},
		{"%d/%m/%Y %H:%M", "2026-03-04T05:06:07", "2026-03-04T05:06:07Z", visit.TimeInAssumedZone, true},
		{"%m/%d/%y %I:%M %p", "3/4/26 2:03 pm", "2026-03-04T14:03:00Z", visit.TimeInAssumedZone, false},
		{"%m/%d/%y, %I:%M %p", "3/4/26, 2:03\u202fPM", "2026-03-04T14:03:00Z", visit.TimeInAssumedZone, false},
		{"%m/%d/%y %I:%M\u00a0%p", "3/4/26\u00a02:03 a.m.", "2026-03-04T02:03:00Z", visit.TimeInAssumedZone, false},
		{"%d/%m/%Y, %I:%M:%S %p", "4/3/2026, 2:03:04 p.\u00a0m.", "2026-03-04T14:03:04Z", visit.TimeInAssumedZone, true},
		{"%B %d, %Y at %I:%M%p", "March 4, 2026 at 2:03Pm", "2026-03-04T14:03:00Z", visit.TimeInAssumedZone, false},
		{"%d.%m.%Y um %H:%M Uhr", "4.3.2026 um 14:03 Uhr", "2026-03-04T14:03:00Z", visit.TimeInAssumedZone, false},
		{"%d/%m/%Y à %Hh%M", "04/03/2026 à 14h03", "2026-03-04T14:03:00Z", visit.TimeInAssumedZone, false},
		{"%d/%m/%Y à %Hh%M", "04/03/2026 a 14h03", "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"%d/%m/%Y %H:%M", "31/02/2026 05:06", "2026-11-23T01:02:03Z", visit.TimeReceived, false},
		{"%d/%m/%Y %H:%M", "4/3/2026", "2026-11-23T01:02:03Z", visit.TimeReceived, false},
	} {
		f := compile(t, Spec{DateFormats: []string{c.format}, DateZone: time.UTC})
		w := f.ReadDate(c.written, adelaide, received)
		if got := w.Time.UTC().Format(time.RFC3339Nano); got != c.want || w.Basis != c.basis || w.Precise != c.precise {
			t.Errorf("%s by %s: %s %s precise=%v, want %s %s precise=%v", c.written, c.format, got, w.Basis, w.Precise, c.want, c.basis, c.precise)
		}
	}
}

// Package time has no way to quote what it would take for a part of a date.
func TestDate_AFormatSaysWhichTextItCannotHave(t *testing.T) {
	for _, format := range []string{"%Y_%m_%d %H:%M", "Mon %d/%m/%Y %H:%M", "%d/%m/%Y %H:%M PM", "%d/%m/%Y %H:%M MST", "PM%Y-%m-%d %H", "%d/%m/%Y P%a %H"} {
		if _, err := ParseFormat(format); err == nil || !strings.Contains(err.Error(), "takes for a part of a date") {
			t.Errorf("%s: %v", format, err)
		}
	}
}

// What means two days is no date unless its format is configured.
func TestDate_AnAmbiguousOneIsNotGuessed(t *testing.T) {
	received := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	for _, written := range []string{"4/3/2026 05:06:07", "04.03.2026 05:06", "3-4-2026 05:06", "20260304", "Mar 4 2026", "05:06"} {
		if w := Default.ReadDate(written, time.UTC, received); w.Basis != visit.TimeReceived {
			t.Errorf("%s was read as %s", written, w.Time)
		}
	}
}

func TestDate_FormatsWithoutConfiguration(t *testing.T) {
	for written, want := range map[string]string{
		"20261118T214231Z": "2026-11-18T21:42:31Z", "20261118T214231+1030": "2026-11-18T11:12:31Z", "20261118T214231": "2026-11-18T21:42:31Z",
		"20261118T214231+10": "2026-11-18T11:42:31Z", "2026-11-18 21:42:31 +01": "2026-11-18T20:42:31Z",
		"Wed, 18 Nov 2026 21:42:31 GMT": "2026-11-18T21:42:31Z", "Wed, 18 Nov 2026 21:42:31 +0000": "2026-11-18T21:42:31Z", "18 Nov 2026 21:42:31 +0000": "2026-11-18T21:42:31Z", "1795038151250000": "2026-11-18T21:42:31.25Z",
	} {
		if w := Default.ReadDate(written, time.UTC, time.Time{}); w.Time.UTC().Format(time.RFC3339Nano) != want || !w.Precise {
			t.Errorf("%s: %s precise=%v, want %s", written, w.Time, w.Precise, want)
		}
	}
}
