package relay

import (
	"strconv"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// date is when Sine says that something happened.
type date struct {
	time  time.Time
	basis visit.TimeBasis
	// written is the date as received, or empty.
	written string
	// precise is set for a date that was read and is exact to the second.
	precise bool
}

// Layouts of ISO 8601 as programs write it. Go reads fractions of a second
// after any of them.
var (
	withZone = []string{
		"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07",
		"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04:05 Z0700",
	}
	withoutZone       = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05"}
	minuteWithZone    = []string{"2006-01-02T15:04Z07:00", "2006-01-02T15:04Z0700", "2006-01-02 15:04Z07:00"}
	minuteWithoutZone = []string{"2006-01-02T15:04", "2006-01-02 15:04"}
)

// readDate reads a date as ISO text, with or without zone, or as an epoch in
// seconds or milliseconds, number or text. What cannot be read stands for the
// time of receipt.
func readDate(written string, zone *time.Location, received time.Time) date {
	written = strings.TrimSpace(written)
	d := date{time: received, basis: visit.TimeReceived, written: written}
	if written == "" {
		return d
	}
	if t, ok := readEpoch(written); ok {
		d.time, d.basis, d.precise = t, visit.TimeFromSine, true
		return d
	}
	for _, form := range []struct {
		layouts []string
		zone    *time.Location
		basis   visit.TimeBasis
		precise bool
	}{
		{withZone, time.UTC, visit.TimeFromSine, true},
		{withoutZone, zone, visit.TimeInAssumedZone, true},
		{minuteWithZone, time.UTC, visit.TimeFromSine, false},
		{minuteWithoutZone, zone, visit.TimeInAssumedZone, false},
	} {
		for _, layout := range form.layouts {
			t, err := time.ParseInLocation(layout, written, form.zone)
			if err == nil && encodes(t) {
				d.time, d.basis, d.precise = t, form.basis, form.precise
				return d
			}
		}
	}
	return d
}

// Bounds of what is taken for an epoch, in seconds: the years 2000 and 2100. A
// number beyond them a thousandfold is in milliseconds.
const (
	epochFrom = 946_684_800
	epochTo   = 4_102_444_800
)

func readEpoch(s string) (time.Time, bool) {
	if strings.Trim(s, "0123456789.") != "" {
		return time.Time{}, false // ParseFloat reads more than numbers as people write them
	}
	n, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil:
		return time.Time{}, false
	case n >= epochFrom && n < epochTo:
		// A millisecond is as much as a double holds surely.
		return time.UnixMilli(int64(n*1000 + 0.5)).UTC(), true
	case n >= epochFrom*1000 && n < epochTo*1000:
		return time.UnixMilli(int64(n)).UTC(), true
	default:
		return time.Time{}, false
	}
}

// encodes reports whether a time can be written in a message: Go parses zones up to
// 24 hours away and refuses to write them.
func encodes(t time.Time) bool {
	_, err := t.MarshalText()
	return err == nil
}
