package doors

import (
	"math"
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	// slotLength is the time that one slot counts, and slotCount how many there are: a
	// day, and the one that is not over.
	slotLength = 30 * time.Minute
	slotCount  = 49
	day        = 24 * time.Hour
	// maxRecent is how many check-in requests are looked back on.
	maxRecent = 20
	// maxDeciders bounds whose decisions are noted of one integration.
	maxDeciders = 64
	// Answer times are counted in classes of which each is a fifth longer than the last,
	// from fastest on: a median is right within a tenth.
	tookClasses = 54
	tookFactor  = 1.2
	fastestMs   = 0.5
)

// door is what is known of one integration.
type door struct {
	place
	name     string // for people
	zone     string
	location *time.Location // of the zone
	deciders []string
	drifting []string
	test     bool
	invalid  bool // its configuration: all calls are refused
	// unconfirmed is set where no test visit has shown that rejections are obeyed.
	unconfirmed bool
	received    time.Time            // when a relay last received anything, as it says
	relays      []int                // places among those that answer: those that have it
	had         map[string]time.Time // ids of those that had it, and when they answered last

	slots   [slotCount]slot
	recent  []answer // newest first
	decided map[string]time.Time

	lastRequest, lastCheckIn, lastCheckOut time.Time
}

// slot counts what happened in half an hour.
type slot struct {
	number             int64 // since 1970
	requests, checkIns uint32
	took               [tookClasses]uint16
}

// answer is how one check-in request was answered.
type answer struct {
	at                          time.Time
	situation                   string
	fallback, ordered, accepted bool
}

// slot returns the one of a time, or nil where that is older than a day.
func (d *door) slot(at, now time.Time) *slot {
	if at.After(now) {
		at = now // the clock of a relay may be ahead
	}
	n := number(at)
	if number(now)-n >= slotCount {
		return nil
	}
	s := &d.slots[n%slotCount]
	if s.number != n {
		*s = slot{number: n}
	}
	return s
}

func (d *door) record(r *visit.Record, now time.Time) {
	s := d.slot(r.Received, now)
	if s == nil {
		return
	}
	s.requests++
	if class := &s.took[tookClass(r.TookMs)]; *class < math.MaxUint16 {
		*class++
	}
	d.lastRequest = later(d.lastRequest, r.Received)
	a := answer{
		at: r.Received, situation: r.Situation, ordered: r.Order != nil, accepted: r.Verdict == visit.Accept,
		fallback: r.Fallback && r.Situation != "unasked" || r.Situation == "orders_unknown",
	}
	i, _ := slices.BinarySearchFunc(d.recent, a, func(b, a answer) int { return a.at.Compare(b.at) })
	d.recent = slices.Insert(d.recent, i, a)
	d.recent = d.recent[:min(len(d.recent), maxRecent)]
	for _, v := range r.Votes {
		if _, known := d.decided[v.Decider]; v.Situation == "decided" && (known || len(d.decided) < maxDeciders) {
			if d.decided == nil {
				d.decided = map[string]time.Time{}
			}
			d.decided[v.Decider] = later(d.decided[v.Decider], r.Received)
		}
	}
}

func (d *door) event(e *visit.Event, now time.Time) {
	s := d.slot(e.Received, now)
	switch {
	case s == nil:
	case e.Kind == visit.KindCheckedIn:
		s.checkIns++
		d.lastCheckIn = later(d.lastCheckIn, e.Received)
	case e.Kind == visit.KindCheckedOut:
		d.lastCheckOut = later(d.lastCheckOut, e.Received)
	}
}

// last is when anything was heard.
func (d *door) last() time.Time {
	return later(later(d.lastRequest, d.received), later(d.lastCheckIn, d.lastCheckOut))
}

// between counts check-in requests and check-ins, by slots, from a time up to another.
func (d *door) between(from, to time.Time) (count int) {
	first, end := number(from), number(to)
	for i := range d.slots {
		if s := &d.slots[i]; s.number >= first && s.number < end {
			count += int(s.requests + s.checkIns)
		}
	}
	return count
}

// times returns the median and the 95th percentile of the answer times of a day, and of
// each of its hours; 0 where there was none.
func (d *door) times(now time.Time) (all Took, hours [24]Took) {
	var sum [tookClasses]int
	var byHour [24][tookClasses]int
	last := number(now)
	for i := range d.slots {
		s := &d.slots[i]
		ago := last - s.number
		if ago < 0 || ago >= slotCount || s.requests == 0 {
			continue
		}
		for class, n := range s.took {
			sum[class] += int(n)
			if ago < 48 {
				byHour[23-ago/2][class] += int(n)
			}
		}
	}
	for hour := range byHour {
		hours[hour] = took(&byHour[hour])
	}
	return took(&sum), hours
}

// hours counts check-in requests and check-ins of each hour of a day, the last one last.
func (d *door) hours(now time.Time) (requests, checkIns [24]int) {
	last := number(now)
	for i := range d.slots {
		s := &d.slots[i]
		if ago := last - s.number; ago >= 0 && ago < 48 {
			requests[23-ago/2] += int(s.requests)
			checkIns[23-ago/2] += int(s.checkIns)
		}
	}
	return requests, checkIns
}

// number is that of the slot of a time.
func number(t time.Time) int64 { return t.UnixNano() / int64(slotLength) }

// took returns the percentiles of times that were counted by classes.
func took(classes *[tookClasses]int) Took {
	total := 0
	for _, n := range classes {
		total += n
	}
	if total == 0 {
		return Took{}
	}
	return Took{percentile(classes[:], total, 0.5), percentile(classes[:], total, 0.95)}
}

func tookClass(ms float64) int {
	if !(ms > fastestMs) {
		return 0
	}
	return min(int(math.Log(ms/fastestMs)/math.Log(tookFactor)), tookClasses-1)
}

// percentile returns the middle of the class in which it is.
func percentile(classes []int, total int, share float64) time.Duration {
	wanted := int(math.Ceil(float64(total) * share))
	for class, n := range classes {
		if wanted -= n; n > 0 && wanted <= 0 {
			ms := fastestMs * math.Pow(tookFactor, float64(class)+0.5)
			return time.Duration(ms * float64(time.Millisecond))
		}
	}
	return 0
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
