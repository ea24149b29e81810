package learn

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// farOff is how far a date may be from when the relay received it: zones are up to 14
// hours away, and what waits somewhere comes later.
const farOff = 30 * time.Hour

// date finds the date of the event, how it is written, and in which zone.
func (l *learner) date() {
	if l.having(fields.Date) < len(l.samples) {
		l.datePlace()
	}
	if l.having(fields.Date) == 0 {
		l.dayAndTime()
	}
	l.dateFormat()
	l.dateZone()
}

// datePlace proposes the place that is called a date and has one. Of several, the one
// that is nearest to the receipt is that of the event.
func (l *learner) datePlace() {
	type dated struct {
		candidate
		off time.Duration
	}
	var all []dated
	for _, p := range l.places {
		c := dated{candidate: candidate{place: p, basis: "guess by name and by the look of the values"}}
		for _, g := range guessesByName(p.words) {
			if g.field == fields.Date {
				c.score = max(c.score, g.score)
			}
		}
		if c.score == 0 || !l.helps(p, fields.Date) || l.isTaken(p.at) || !areDates(p.texts()) {
			continue
		}
		c.off = l.offOf(p)
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b dated) int {
		return cmp.Or(cmp.Compare(a.off, b.off), b.score-a.score, b.count()-a.count(), a.segments()-b.segments())
	})
	for _, c := range all {
		if l.having(fields.Date) < len(l.samples) && l.propose(fields.Date, c.at) {
			l.proposed(fields.Date, c.at, c.basis)
		}
	}
}

// offOf is how far the dates of a place are from the receipt, in steps of a quarter of
// an hour of the nearest zone; 0 where that is not known.
func (l *learner) offOf(p *place) (off time.Duration) {
	for i, s := range l.samples {
		if v := p.values[i]; v.kind != 0 && !s.Received.IsZero() {
			if t, ok := readAny(v.text); ok {
				off = max(off, t.Sub(s.Received).Abs().Truncate(farOff))
			}
		}
	}
	return off
}

func areDates(texts []string) bool {
	return len(texts) > 0 && !slices.ContainsFunc(texts, func(text string) bool { _, ok := readAny(text); return !ok })
}

// dayAndTime proposes a date that is in two places beside each other.
func (l *learner) dayAndTime() {
	for _, day := range l.places {
		if !isCalled(day, "day", "date", "datum", "fecha", "jour", "dia", "día", "tag") || !readAll(day.texts(), days, " %H:%M", " 00:00") {
			continue
		}
		for _, clock := range l.places {
			if parent(day.at) != parent(clock.at) || !isCalled(clock, "time", "clock", "zeit", "uhrzeit", "hora", "heure", "ora", "tijd") ||
				!readAll(clock.texts(), clocks, "", "") {
				continue
			}
			both := "{" + day.at + "} {" + clock.at + "}"
			if l.propose(fields.Date, both) {
				l.proposed(fields.Date, both, "guess by name: day and time are apart")
				return
			}
		}
	}
}

// readAll reports whether one of a few formats reads every text. A clock alone is read
// behind some day.
func readAll(texts, formats []string, format, text string) bool {
	return len(texts) > 0 && slices.ContainsFunc(formats, func(f string) bool {
		before, some := "", ""
		if format == "" {
			before, some = "%Y-%m-%d ", "2026-01-01 "
		}
		parsed, err := fields.ParseFormat(before + f + format)
		return err == nil && !slices.ContainsFunc(texts, func(t string) bool { _, ok := parsed.Read(some+t+text, time.UTC); return !ok })
	})
}

func isCalled(p *place, names ...string) bool {
	return len(p.words) > 0 && slices.Contains(names, p.words[len(p.words)-1])
}

func parent(at string) string { return at[:strings.LastIndexByte(at, '/')] }

// written are the dates as they are written, and when the bodies came.
func (l *learner) written() (dates []string, received []time.Time) {
	for _, s := range l.samples {
		if s.now.Date != "" && !s.isForm {
			dates, received = append(dates, s.now.Date), append(received, s.Received)
		}
	}
	return dates, received
}

// quarter is what zones differ by at least.
const quarter = 15 * time.Minute

// dateZone compares dates without a zone with when they came.
func (l *learner) dateZone() {
	off, known, assumed := time.Duration(0), false, false
	var at time.Time
	dates, received := l.written()
	for i, d := range dates {
		w := l.fields.ReadDate(d, time.UTC, received[i])
		if w.Basis != visit.TimeInAssumedZone {
			continue
		}
		assumed = true
		if received[i].IsZero() {
			continue
		}
		_, read := w.Time.In(time.UTC), l.fields.ReadDate(d, time.UTC, received[i]).Time
		wall := time.Date(read.Year(), read.Month(), read.Day(), read.Hour(), read.Minute(), read.Second(), 0, time.UTC)
		ahead := time.Duration(math.Round(float64(wall.Sub(received[i]))/float64(quarter))) * quarter
		if known && ahead != off {
			l.ask("Dates have no zone, and are off the times of their receipt by different amounts: which zone they are in cannot be said.")
			return
		}
		off, known, at = ahead, true, received[i]
	}
	switch {
	case !assumed:
	case !known:
		l.ask("Dates have no zone. They are read in that of dates.timeZone, or else of the site (timeZone, UTC unless set): check that it is right. Bodies that the relay has stored would show it.")
	case off.Abs() > 14*time.Hour:
		l.ask("Dates have no zone, and are more than 14 hours off the times of their receipt: they may be another event's.")
	default:
		l.zoneIs(off, at)
	}
}

// zoneIs says whether the zone that dates are read in is the one that they are in.
func (l *learner) zoneIs(off time.Duration, at time.Time) {
	zone := l.o.Zone
	if own := l.fields.Spec().DateZone; own != nil {
		zone = own
	}
	_, seconds := at.In(zone).Zone()
	switch ahead := time.Duration(seconds) * time.Second; {
	case ahead == off:
		l.finding(fields.Date).Basis = strings.TrimPrefix(l.finding(fields.Date).Basis+"; without a zone, and in "+zone.String()+" by the time of their receipt", "; ")
	case off == 0:
		if l.apply(func(s *fields.Spec) { s.DateZone = time.UTC }) {
			l.report.Why["dates.timeZone"] = "the dates have no zone, and are in UTC by the time of their receipt"
		}
	default:
		l.ask(fmt.Sprintf("Dates have no zone, and are %s UTC by the time of their receipt, where %s is %s: set timeZone of the integration, or dates.timeZone, to a zone such as Europe/Zurich that is so.",
			aheadOf(off), zone, aheadOf(ahead)))
	}
}

func aheadOf(off time.Duration) string {
	switch text := strings.TrimSuffix(off.Abs().String(), "0s"); {
	case off > 0:
		return text + " ahead of"
	case off < 0:
		return text + " behind"
	default:
		return "equal to"
	}
}
