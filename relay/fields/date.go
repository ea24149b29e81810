package fields

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// When is when Sine says that something happened.
type When struct {
	Time  time.Time
	Basis visit.TimeBasis
	// Written is the date as received, or empty.
	Written string
	// Precise is set for a date that was read and is exact to the second.
	Precise bool
}

// dates is how dates are read.
type dates struct {
	formats []Format
	zone    *time.Location // nil is the site's
}

// Format is a way of writing a date.
type Format struct {
	layouts []string // of package time
	// zoned is set when the format has a zone, and halves when it has AM or PM.
	zoned, precise, halves bool
}

// Formats of ISO 8601 as programs write it, and of mail headers. Go reads fractions of a
// second after any of them. None of them can be mistaken for another: a date such as
// 3/4/2026 means two days, and is read only where its format is configured.
var formats = []Format{
	{zoned: true, precise: true, layouts: []string{
		"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07",
		"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z0700", "2006-01-02 15:04:05Z07",
		"2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04:05 Z0700", "2006-01-02 15:04:05 Z07",
	}},
	{precise: true, layouts: []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05"}},
	{zoned: true, layouts: []string{"2006-01-02T15:04Z07:00", "2006-01-02T15:04Z0700", "2006-01-02T15:04Z07", "2006-01-02 15:04Z07:00", "2006-01-02 15:04Z0700", "2006-01-02 15:04Z07"}},
	{layouts: []string{"2006-01-02T15:04", "2006-01-02 15:04"}},
	{zoned: true, precise: true, layouts: []string{
		"20060102T150405Z07:00", "20060102T150405Z0700", "20060102T150405Z07", time.RFC1123Z, "2 Jan 2006 15:04:05 -0700",
		"Mon, 2 Jan 2006 15:04:05 GMT", "2 Jan 2006 15:04:05 GMT",
	}},
	{precise: true, layouts: []string{"20060102T150405"}},
	{zoned: true, layouts: []string{"20060102T1504Z07:00", "20060102T1504Z0700", "20060102T1504Z07"}},
	{layouts: []string{"20060102T1504"}},
}

// ReadDate reads a date in one of the configured formats, as ISO text, with or without
// zone, or as an epoch in seconds, milliseconds or microseconds, number or text. One
// without a zone is read in the configured zone for dates, or else in that of the site.
// What cannot be read stands for the time of receipt.
func (f *Fields) ReadDate(written string, site *time.Location, received time.Time) When {
	w := When{Time: received, Basis: visit.TimeReceived, Written: strings.TrimSpace(written)}
	if f.dates.zone != nil {
		site = f.dates.zone
	}
	w.read(&f.dates, site)
	return w
}

// reads reports whether a date can be read, in whichever zone.
func (d *dates) reads(written string) bool {
	w := When{Written: strings.TrimSpace(written)}
	return w.read(d, time.UTC)
}

// read reads what is written.
func (w *When) read(d *dates, zone *time.Location) bool {
	if w.Written == "" {
		return false
	}
	text := withSpaces(w.Written)
	if w.readBy(d.formats, text, zone) {
		return true
	}
	if t, ok := readEpoch(text); ok {
		w.Time, w.Basis, w.Precise = t, visit.TimeFromSine, true
		return true
	}
	return w.readBy(formats, text, zone)
}

// spaces are what programs write for a space so that no line breaks there: newer ones do
// so before AM and PM.
var spaces = strings.NewReplacer("\u00a0", " ", "\u2009", " ", "\u202f", " ")

// withSpaces has plain spaces in their place. Nearly all dates are in ASCII.
func withSpaces(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return r >= 0x80 }) < 0 {
		return text
	}
	return spaces.Replace(text)
}

// halves are the ways in which programs write AM and PM.
var halves = regexp.MustCompile(`([AaPp])(?:[Mm]|\. ?[Mm]\.)`)

// readBy tries formats, and reports whether one of them fits.
func (w *When) readBy(formats []Format, text string, zone *time.Location) bool {
	for i := range formats {
		in, basis := time.UTC, visit.TimeFromSine
		if !formats[i].zoned {
			in, basis = zone, visit.TimeInAssumedZone
		}
		written := text
		if formats[i].halves {
			written = halves.ReplaceAllStringFunc(text, func(half string) string { return strings.ToUpper(half[:1]) + "M" })
		}
		for _, layout := range formats[i].layouts {
			t, err := time.ParseInLocation(layout, written, in)
			if err == nil && encodes(t) {
				w.Time, w.Basis, w.Precise = t, basis, formats[i].precise
				return true
			}
		}
	}
	return false
}

// directives are those of strftime that a format may have, as package time has them,
// and in the second place without a leading zero.
var directives = map[byte][2]string{
	'Y': {"2006", "2006"}, 'y': {"06", "06"}, 'm': {"01", "1"}, 'd': {"02", "2"}, 'e': {"02", "2"}, 'H': {"15", "15"}, 'I': {"03", "3"},
	'M': {"04", "4"}, 'S': {"05", "5"}, 'p': {"PM", "PM"}, 'b': {"Jan", "Jan"}, 'B': {"January", "January"}, 'a': {"Mon", "Mon"}, 'A': {"Monday", "Monday"},
	'z': {"Z07:00", "Z07:00"}, '%': {"%", "%"},
}

// ParseFormat reads a format of dates as strftime has them, such as %d/%m/%Y %H:%M:%S.
// It may have the directives %Y %y %m %d %e %b %B %a %A %H %I %p %M %S %z and %%; names
// are English, AM and PM may be in small letters or have dots, and a fraction of a second
// may follow the second. It must have a year, a month, a day and an hour. What is not a
// directive must be in the date as it is.
func ParseFormat(text string) (Format, error) {
	var layout strings.Builder
	var shown [len(probes)]strings.Builder
	add := func(piece string, literal bool) {
		layout.WriteString(piece)
		for i, probe := range probes {
			if !literal {
				shown[i].WriteString(probe.Format(piece))
			} else {
				shown[i].WriteString(piece)
			}
		}
	}
	text = withSpaces(text)
	has := map[byte]bool{}
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			if isDigit(text[i]) {
				return Format{}, fmt.Errorf("has %q outside of a directive: write dates as strftime does, such as %%d/%%m/%%Y %%H:%%M:%%S", text[i:i+1])
			}
			add(text[i:i+1], true)
			continue
		}
		i++
		if i == len(text) || directives[text[i]][0] == "" {
			return Format{}, fmt.Errorf("has an unknown directive %q; known are %%Y %%y %%m %%d %%e %%b %%B %%a %%A %%H %%I %%p %%M %%S %%z %%%%", text[i-1:min(i+1, len(text))])
		}
		if has[text[i]] && text[i] != '%' {
			return Format{}, fmt.Errorf("has %%%c twice", text[i])
		}
		has[text[i]] = true
		// Where nothing separates two numbers, each has all its digits.
		between := 1
		if i+1 < len(text) && text[i+1] == '%' || i > 2 && text[i-3] == '%' {
			between = 0
		}
		add(directives[text[i]][between], false)
	}
	for _, needed := range []struct{ what, by string }{{"a year, %Y", "Yy"}, {"a month, %m", "mbB"}, {"a day, %d", "de"}, {"an hour, %H", "HI"}} {
		if !hasAny(has, needed.by) {
			return Format{}, fmt.Errorf("must have %s", needed.what)
		}
	}
	if has['I'] != has['p'] {
		return Format{}, fmt.Errorf("must have %%I and %%p together, or %%H")
	}
	for i, probe := range probes {
		if probe.Format(layout.String()) != shown[i].String() {
			return Format{}, fmt.Errorf("has a text outside of a directive that Go takes for a part of a date, such as Jan, Mon, MST, PM, Z07 or _ before a day")
		}
	}
	f := Format{zoned: has['z'], precise: has['S'], halves: has['p'], layouts: []string{layout.String()}}
	if f.zoned {
		for _, zone := range []string{"Z0700", "Z07"} {
			f.layouts = append(f.layouts, strings.Replace(layout.String(), "Z07:00", zone, 1))
		}
	}
	return f, nil
}

// Read reads a date in the format, and reports whether it is written so. One without a
// zone is read in that one.
func (f Format) Read(written string, zone *time.Location) (t time.Time, ok bool) {
	w := When{Written: strings.TrimSpace(written)}
	ok = w.readBy([]Format{f}, withSpaces(w.Written), zone)
	return w.Time, ok
}

// probes are times by which a layout shows whether package time takes all its literals as
// they are: no part of theirs is written as in a layout.
var probes = [...]time.Time{
	time.Date(1999, 11, 28, 8, 57, 39, 123_456_789, time.FixedZone("X", -3*3600-1800)),
	time.Date(2013, 9, 19, 21, 48, 56, 987_654_321, time.UTC),
}

func hasAny(has map[byte]bool, of string) bool {
	for i := range len(of) {
		if has[of[i]] {
			return true
		}
	}
	return false
}

// Bounds of what is taken for an epoch, in seconds: the years 2000 and 2100. A
// number beyond them a thousandfold is in milliseconds, and a millionfold in
// microseconds.
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
	case n >= epochFrom*1_000_000 && n < epochTo*1_000_000:
		return time.UnixMicro(int64(n)).UTC(), true
	default:
		return time.Time{}, false
	}
}

// encodes reports whether a time can be that of an event, and be written in a message: Go
// parses zones up to 24 hours away and refuses to write them. A date far off, such as
// 1970-01-01, is what programs write where they have none: taken for one, it would make
// one event of two.
func encodes(t time.Time) bool {
	_, offset := t.Zone()
	return max(offset, -offset) < secondsOfDay && t.Year() >= firstYear && t.Year() < endYear
}

// The same bounds as those of an epoch.
const firstYear, endYear = 2000, 2100

const secondsOfDay = 24 * 60 * 60
