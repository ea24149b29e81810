package learn

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// readAny reads a date in any format that it may be in.
func readAny(text string) (time.Time, bool) {
	if w := fields.Default.ReadDate(text, time.UTC, time.Time{}); w.Basis != visit.TimeReceived {
		return w.Time, true
	}
	for _, f := range guessed() {
		if t, ok := f.Read(text, time.UTC); ok {
			return t, true
		}
	}
	return time.Time{}, false
}

// guessedFormat is a way in which dates are written somewhere.
type guessedFormat struct {
	text  string
	day   string // how the day is written
	clock string
	fields.Format
}

// guessed are those that are tried, of which a person sees one. They take a megabyte, which
// a program that learns nothing does not need.
var guessed = sync.OnceValue(func() (all []guessedFormat) {
	for _, day := range days {
		for _, between := range []string{" ", ", ", "T"} {
			for _, clock := range clocks {
				for _, zone := range []string{"", " %z", "%z"} {
					text := day + between + clock + zone
					if f, err := fields.ParseFormat(text); err == nil {
						all = append(all, guessedFormat{text, day, clock, f})
					}
				}
			}
		}
	}
	return all
})

var (
	days = []string{
		"%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y",
		"%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%a %d %b %Y", "%a, %d %b %Y", "%A, %d %B %Y", "%A, %B %d, %Y", "%Y-%m-%d",
	}
	clocks = []string{"%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p", "%I:%M%p", "%H.%M"}
)

// swapped is the format that reads the day of another as its month.
var swapped = map[string]string{
	"%d/%m/%Y": "%m/%d/%Y", "%m/%d/%Y": "%d/%m/%Y", "%d-%m-%Y": "%m-%d-%Y", "%m-%d-%Y": "%d-%m-%Y", "%d/%m/%y": "%m/%d/%y", "%m/%d/%y": "%d/%m/%y",
}

// dateFormat proposes a format for dates that cannot be read yet.
func (l *learner) dateFormat() {
	var dates []string
	var received []time.Time
	all, when := l.written()
	for i, d := range all {
		if l.fields.ReadDate(d, l.o.Zone, time.Time{}).Basis == visit.TimeReceived {
			dates, received = append(dates, d), append(received, when[i])
		}
	}
	if len(dates) == 0 {
		return
	}
	fit := fitting(dates)
	if len(fit) == 0 {
		l.ask("Dates are in a format that is not known. Enter it in dates.formats, as strftime has it: %d/%m/%Y %H:%M:%S.")
		return
	}
	near := slices.DeleteFunc(slices.Clone(fit), func(f guessedFormat) bool { return !isNear(f, dates, received) })
	settled := len(near) > 0 && !slices.ContainsFunc(received, time.Time.IsZero)
	if len(near) > 0 {
		fit = near
	}
	best := fit[0]
	if other := swapped[best.day]; other != "" && slices.ContainsFunc(fit, func(f guessedFormat) bool { return f.day == other && f.clock == best.clock }) {
		l.ask(fmt.Sprintf("Is the day or the month first in the dates? Both can be read: enter dates.formats: [%q] or [%q]. A visit after the 12th of a month settles it.",
			best.text, strings.Replace(best.text, best.day, other, 1)))
		return
	}
	why := "guess: no other format fits"
	if settled {
		why = "the dates are near to when the relay received them"
	}
	if l.apply(func(s *fields.Spec) {
		s.DateFormats = slices.Concat([]string{best.text}, l.o.Fields.Spec().DateFormats)
	}) {
		l.report.Why["dates.formats"] = why
	}
}

// fitting are the formats that read every date.
func fitting(dates []string) (fit []guessedFormat) {
	for _, f := range guessed() {
		if !slices.ContainsFunc(dates, func(d string) bool { _, ok := f.Read(d, time.UTC); return !ok }) {
			fit = append(fit, f)
		}
	}
	return fit
}

func isNear(f guessedFormat, dates []string, received []time.Time) bool {
	for i, d := range dates {
		if t, ok := f.Read(d, time.UTC); ok && !received[i].IsZero() && t.Sub(received[i]).Abs() > farOff {
			return false
		}
	}
	return true
}
