package shape

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	iso      = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(?:([T ])\d{2}:\d{2}(:\d{2})?([.,]\d{1,9})?( ?)(Z|[+-]\d{2}:\d{2}|[+-]\d{4}|[+-]\d{2})?)?$`)
	numbered = regexp.MustCompile(`^\d{1,2}([/.-])\d{1,2}[/.-]\d{4}(,? )?(\d{1,2}:\d{2})?(:\d{2})?( ?[AaPp][Mm])?$`)
)

// spelled are layouts with names of days and months that libraries write. The
// last is JavaScript's, without the zone's name in brackets.
var spelled = []string{
	time.RFC1123, time.RFC1123Z, time.RFC850, time.ANSIC, time.UnixDate,
	"Mon Jan 02 2006 15:04:05 GMT-0700",
}

// dateLayout is the layout in which a date is written, as in package time.
func dateLayout(s string) (string, bool) {
	if parts := iso.FindStringSubmatch(s); parts != nil {
		return isoLayout(s, parts)
	}
	if parts := numbered.FindStringSubmatch(s); parts != nil {
		return numberedLayout(parts), true
	}
	if !strings.ContainsAny(s, ":") || strings.IndexByte("MTWFS", s[0]) < 0 {
		return "", false
	}
	s, _, _ = strings.Cut(s, " (")
	for _, layout := range spelled {
		if _, err := time.Parse(layout, s); err == nil {
			return layout, true
		}
	}
	return "", false
}

func isoLayout(s string, parts []string) (string, bool) {
	between, seconds, fraction, space, zone := parts[1], parts[2], parts[3], parts[4], parts[5]
	layout := "2006-01-02"
	if between != "" {
		layout += between + "15:04"
	}
	if seconds != "" {
		layout += ":05"
	}
	if fraction != "" {
		layout += fraction[:1] + strings.Repeat("0", len(fraction)-1)
	}
	layout += space
	switch len(zone) {
	case len("Z"):
		layout += "Z"
	case len("-07"):
		layout += "-07"
	case len("-0700"):
		layout += "-0700"
	case len("-07:00"):
		layout += "-07:00"
	}
	_, err := time.Parse(layout, s)
	return layout, err == nil
}

// numberedLayout leaves open whether the day or the month comes first, which
// the value would have to tell.
func numberedLayout(parts []string) string {
	separator, clock, seconds, half := parts[1], parts[3], parts[4], parts[5]
	layout := strings.Join([]string{"2", "1", "2006"}, separator) + " or " + strings.Join([]string{"1", "2", "2006"}, separator)
	switch {
	case clock == "":
		return layout
	case half != "":
		layout += ", 3:04"
	default:
		layout += ", 15:04"
	}
	if seconds != "" {
		layout += ":05"
	}
	if half != "" {
		layout += " PM"
	}
	return layout
}

// Bounds of what looks like an epoch, in seconds: the years 2000 and 2100.
const (
	epochFrom = 946_684_800
	epochTo   = 4_102_444_800
)

// epochUnit takes numbers as people write them, whole or with a fraction.
func epochUnit(s string) (string, bool) {
	if strings.Trim(s, "0123456789.") != "" {
		return "", false
	}
	n, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil:
		return "", false
	case n >= epochFrom && n < epochTo:
		return "seconds", true
	case n >= epochFrom*1000 && n < epochTo*1000:
		return "milliseconds", true
	default:
		return "", false
	}
}

// number is the form of a JSON number.
func number(written string) Form {
	digits := 0
	for _, r := range written {
		if r >= '0' && r <= '9' {
			digits++
		}
	}
	f := Form{Type: "number", Class: "integer", Count: 1, Length: exactly(digits)}
	if strings.ContainsAny(written, ".eE") {
		f.Class = "fraction"
	}
	if unit, ok := epochUnit(written); ok {
		f.Class, f.Format = "epoch", unit
	}
	return f
}
