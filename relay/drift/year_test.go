package drift

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// lobby is an invented one: which fields its bodies have how often, and which unknown
// keys beside them.
type lobby struct {
	opens    int // day of the year
	visitors int // on a working day
	fields   map[fields.Field]float64
	keys     map[string]float64
	weekend  map[fields.Field]float64 // where it differs
	rand     *rand.Rand
}

// always are the fields that every body has.
var always = []fields.Field{fields.Event, fields.Date, fields.Visit, fields.FirstName, fields.LastName}

func newLobby(n int) *lobby {
	r := rand.New(rand.NewPCG(uint64(n), 15))
	between := func(low, high float64) float64 { return low + r.Float64()*(high-low) }
	l := &lobby{rand: r, visitors: 4 + r.IntN(150), fields: map[fields.Field]float64{}, keys: map[string]float64{}, weekend: map[fields.Field]float64{}}
	for _, f := range always {
		l.fields[f] = 1
	}
	for f, low := range map[fields.Field]float64{
		fields.Company: .3, fields.Email: .2, fields.Mobile: .2, fields.HostFirstName: .5, fields.HostLastName: .5, fields.HostGroup: .02,
		fields.PhotoURL: .6, fields.Answers: .4, fields.VisitorType: .9, fields.LastName: .97,
	} {
		l.fields[f] = between(low, 1)
		if r.IntN(3) == 0 {
			l.fields[f] = 1
		}
		l.weekend[f] = l.fields[f] * between(.3, 1)
	}
	if n%5 == 0 { // company and host are asked for at the weekend only
		l.fields[fields.Company], l.fields[fields.HostFirstName], l.fields[fields.HostLastName] = 0, 0, 0
	}
	for i := range r.IntN(9) {
		l.keys[fmt.Sprintf("/data/extra%d", i)] = []float64{1, .9, .4, .1, .02, .003}[r.IntN(6)]
	}
	if n%4 == 0 {
		l.opens = 20 + r.IntN(200)
	}
	return l
}

// body is what is in one body.
type body struct {
	found fields.Set
	keys  []string
}

// next is the body of a visitor, which is the same at check-in and check-out.
func (l *lobby) next(weekend bool, rename map[fields.Field]string) (b body) {
	for i, f := range fields.All {
		rate := l.fields[f]
		if other, differs := l.weekend[f]; weekend && differs {
			rate = other
		}
		switch name := rename[f]; {
		case l.rand.Float64() >= rate:
		case name != "":
			b.keys = append(b.keys, name)
		default:
			b.found |= 1 << i
		}
	}
	for _, key := range sorted(l.keys) {
		if l.rand.Float64() < l.keys[key] {
			b.keys = append(b.keys, key)
		}
	}
	return b
}

// as is the body of one kind: a check-in request has no answers.
func (b body) as(kind visit.Kind) body {
	if kind == visit.KindCheckInRequest {
		b.found &^= fields.Of(fields.Answers)
	}
	return b
}

func sorted(m map[string]float64) (all []string) {
	for key := range m {
		all = append(all, key)
	}
	slices.Sort(all)
	return all
}

func (b body) observe(w *Watch, kind visit.Kind, at time.Time) Change {
	sum := uint64(0)
	for _, key := range b.keys {
		sum += uint64(len(key)) << 32
		for _, c := range []byte(key) {
			sum += uint64(c) * uint64(c) * 0x9e3779b97f4a7c15
		}
	}
	return w.Observe(kind, b.found, sum, at, func() Keys { return Keys{b.keys, b.keys} })
}

// relays are those of an installation. Any of them gets a webhook.
type relays []*Watch

// What the alert on all relays together goes by: see deploy/alerts, and .ci/lib/alerts, whose
// cases are of such bodies, too.
const (
	togetherFound, togetherMissing            = 20, 5
	togetherDecades, togetherDecadesOfSeveral = 6, 5
	togetherEach                              = .4
	skew                                      = time.Second
)

// judge are the fields that were renamed by what all relays know together, after a
// delivery to one of them. Where that one suspects nothing, the others know nothing new.
func (r relays) judge(after *Watch) (renamed []fields.Field) {
	if !suspects(after) {
		return nil
	}
	type of struct {
		kind  visit.Kind
		field fields.Field
	}
	found := map[of]time.Time{}
	total := map[fields.Field]uint64{}
	var states []State
	for _, w := range r {
		for _, s := range w.States() {
			at := of{s.Kind, s.Field}
			if s.Found.After(found[at]) {
				found[at] = s.Found
			}
			if s.Missing > 0 {
				states = append(states, s)
			}
		}
	}
	for _, w := range r {
		counts, _ := w.Counts()
		for _, c := range counts {
			total[c.Field] += c.Found
		}
	}
	missing, decades := map[of]int{}, map[of]float64{}
	for _, s := range states {
		if at := (of{s.Kind, s.Field}); s.Since.After(found[at].Add(-skew)) {
			missing[at] += s.Missing
			decades[at] -= math.Log10(s.Chance)
		}
	}
	for _, f := range fields.All {
		all, severally, most := 0, 0, 0.0
		alone := false
		for _, kind := range kinds {
			at := of{kind, f}
			if missing[at] == 0 || decades[at] < togetherEach*float64(missing[at]) {
				continue
			}
			all, severally, most = all+missing[at], severally+1, max(most, decades[at])
			alone = alone || missing[at] >= togetherMissing && decades[at] > togetherDecades
		}
		if total[f] >= togetherFound && (alone || all >= togetherMissing && severally > 1 && most > togetherDecadesOfSeveral) {
			renamed = append(renamed, f)
		}
	}
	return renamed
}

// suspects reports whether [Watch.States] has a field that is missing.
func suspects(w *Watch) bool {
	for _, h := range w.kinds {
		for i := 0; h != nil && len(h.novel) > 0 && i < len(h.fields); i++ {
			if h.fields[i].found > 0 && w.missingSinceKey(h, i) > 0 {
				return true
			}
		}
	}
	return false
}

func (r relays) restart(now time.Time) {
	for i := range r {
		r[i] = New(now)
	}
}

// A year of forty sites at one to six relays that are restarted each week: fields that are there
// as often as each site has it, nights, weekends and holidays, sites that open later, and
// four times in the year a key more in everything that Sine sends.
func TestDrift_IsSilentForAYearOfFortySites(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for n := range 40 {
		t.Run(fmt.Sprintf("site %d", n), func(t *testing.T) {
			t.Parallel()
			l, all, deliveries := newLobby(n), make(relays, []int{1, 2, 3, 6}[(n+n/4)%4]), 0
			all.restart(start)
			for day := l.opens; day < 365; day++ {
				morning := start.AddDate(0, 0, day).Add(6 * time.Hour)
				weekend := morning.Weekday() == time.Saturday || morning.Weekday() == time.Sunday
				if day%7 == 2 {
					all.restart(morning)
				}
				if day%91 == 50 {
					l.keys[fmt.Sprintf("/data/added%d", day)] = 1
				}
				today := l.visitors
				switch {
				case day > 355 || day == 120: // a holiday
					today = l.rand.IntN(2)
				case weekend:
					today /= 10
				}
				for visitor := range today {
					at := morning.Add(time.Duration(visitor) * 12 * time.Hour / time.Duration(today))
					b := l.next(weekend, nil)
					for i, kind := range kinds {
						w := all[l.rand.IntN(len(all))]
						change := b.as(kind).observe(w, kind, at.Add(time.Duration(i)*time.Minute))
						if renamed := all.judge(w); len(renamed) > 0 {
							t.Fatalf("day %d, visitor %d: %d relays together miss %v, of which there are %v at work and %v at the weekend", day, visitor, len(all), renamed, l.fields[renamed[0]], l.weekend[renamed[0]])
						}
						if len(change.Began) > 0 {
							t.Fatalf("day %d, visitor %d: %+v, of which there are %v at work and %v at the weekend", day, visitor, change.Began, l.fields[change.Began[0].Field], l.weekend[change.Began[0].Field])
						}
						deliveries++
					}
				}
			}
			if deliveries < 1000 {
				t.Errorf("only %d deliveries", deliveries)
			}
		})
	}
}

// renamed counts the deliveries, each to any of the relays, until one of them hears that a
// field has another name at one lobby, or all of them together do, after so many visitors,
// each of whom makes these webhooks.
func renamed(t *testing.T, l *lobby, relayCount, visitors int, field fields.Field, webhooks ...visit.Kind) (deliveries int) {
	t.Helper()
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	all := make(relays, relayCount)
	all.restart(at)
	deliver := func(b body, kind visit.Kind) (began []Drift, together []fields.Field) {
		at = at.Add(time.Minute)
		w := all[l.rand.IntN(relayCount)]
		began = b.as(kind).observe(w, kind, at).Began
		return began, all.judge(w)
	}
	for range visitors {
		b := l.next(false, nil)
		for _, kind := range webhooks {
			if began, together := deliver(b, kind); len(began)+len(together) > 0 {
				t.Fatalf("began too early: %+v %v", began, together)
			}
		}
	}
	for range 200 {
		b := l.next(false, map[fields.Field]string{field: "/data/renamed"})
		for _, kind := range webhooks {
			deliveries++
			began, together := deliver(b, kind)
			for _, d := range began {
				if d.Field != field || !slices.Equal(d.Keys, []string{"/data/renamed"}) {
					t.Fatalf("began: %+v", d)
				}
				return deliveries
			}
			if slices.Contains(together, field) {
				if len(together) > 1 {
					t.Fatalf("together they miss %v", together)
				}
				return deliveries
			}
		}
	}
	return deliveries
}

func TestDrift_IsHeardWithinTenDeliveriesOfARename(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		relays, visitors int
		webhooks         []visit.Kind
	}{
		"check-ins":                                       {1, 40, kinds[1:2]},
		"check-ins at two relays":                         {2, 80, kinds[1:2]},
		"check-ins at three relays":                       {3, 80, kinds[1:2]},
		"check-ins at six relays":                         {6, 120, kinds[1:2]},
		"check-ins at six relays that have just started":  {6, 60, kinds[1:2]},
		"check-in requests and check-ins":                 {1, 40, kinds[:2]},
		"check-in requests and check-ins at two relays":   {2, 80, kinds[:2]},
		"check-in requests and check-ins at three relays": {3, 120, kinds[:2]},
		"check-in requests and check-ins at six relays":   {6, 200, kinds[:2]},
		"all three":                 {1, 60, kinds},
		"all three at two relays":   {2, 120, kinds},
		"all three at three relays": {3, 180, kinds},
		"all three at six relays":   {6, 400, kinds},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := range 40 {
				for _, f := range always {
					l := newLobby(n)
					l.fields[f] = 1
					if heard := renamed(t, l, c.relays, c.visitors, f, c.webhooks...); heard > 10 {
						t.Errorf("site %d: %s was heard after %d deliveries", n, f, heard)
					}
				}
			}
		})
	}
}

// How long it takes follows from how often the field was there.
func TestDrift_TakesLongerForAFieldThatIsThereLessOften(t *testing.T) {
	t.Parallel()
	for rate, limit := range map[float64]int{.95: 8, .9: 9, .8: 10, .75: 12, .5: 25} {
		var all []int
		for n := range 30 {
			l := newLobby(n)
			l.fields[fields.Company] = rate
			all = append(all, renamed(t, l, 1, 1000, fields.Company, visit.KindCheckedIn))
		}
		slices.Sort(all)
		t.Logf("there in %v: heard after %v deliveries", rate, all)
		if median := all[len(all)/2]; median > limit {
			t.Errorf("there in %v: heard after %d deliveries", rate, median)
		}
	}
}
