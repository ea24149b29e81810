package history

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// ResultFallback selects those who were let in without a decision. It is a selection of
// the pages, beside visit.ResultAccepted and visit.ResultRejected.
const ResultFallback = "fallback"

// Filter says which decisions are meant.
type Filter struct {
	Sites    []string // as in [Query]
	Result   string   // one of the results, or all
	From, To time.Time
	// Zone is where a day begins.
	Zone *time.Location
}

// PageSize is how many decisions are listed at once, and MaxPages how many pages of them
// there are.
const (
	PageSize = 50
	MaxPages = 20
)

// Parts are how a check-in request may have been answered.
var Parts = []string{"accepted by a decision", "rejected by a decision", "let in on a fallback", "rejected on a fallback", "by a standing order"}

// Day counts the check-in requests of one day by Parts.
type Day struct {
	Date  string
	Parts []int

	begins time.Time
}

// Total is the number of all of them.
func (d Day) Total() (sum int) {
	for _, n := range d.Parts {
		sum += n
	}
	return sum
}

// Count is how many there were of one situation.
type Count struct {
	Situation string
	Number    int
}

// Decisions are what was found.
type Decisions struct {
	// Total, Days and Situations are without the tests of operators, of which Tests is
	// the number.
	Total, Tests int
	Days         []Day // each day, also one without any
	Situations   []Count
	// Counted says which of the decisions are counted and listed.
	Counted Extent
	// Contradictions are those of sites that have any. They are sought for among all
	// results alone. MoreContradictions is set where there may be more, and CheckIns
	// says which check-ins they were sought for in.
	Contradictions     []SiteContradictions
	MoreContradictions bool
	CheckIns           Extent
	// List is one page, the newest first. More is set where another one follows.
	List []visit.Record
	More bool
}

// Extent says what is counted.
type Extent struct {
	// Since is zero where everything is, else only what was received since then.
	Since time.Time
	// Reading is set where more will be counted soon.
	Reading bool
}

// Read counts all decisions and lists one page of them, from 0 on. It keeps no more than
// the places of the pages up to that one.
func Read(ctx context.Context, r Reader, f Filter, page int) (d Decisions, err error) {
	page = min(max(page, 0), MaxPages-1)
	d.Days = f.days()
	situations := map[string]int{}
	list := newest{most: (page+1)*PageSize + 1} // one more shows that another page follows
	var contrary contradictions
	d.Counted.Since, d.Counted.Reading, err = r.Decisions(ctx, f.From, f.To, func(sequence uint64, record *visit.Record) {
		if !f.means(record) {
			return
		}
		list.add(place{sequence, record.Site, record.Received})
		if record.Synthetic {
			d.Tests++
			return
		}
		contrary.reject(sequence, record)
		d.Total++
		situations[record.Situation]++
		if i := f.day(record.Received, d.Days); i >= 0 {
			d.Days[i].Parts[partOf(record)]++
		}
	})
	if err != nil {
		return d, err
	}
	if f.Result == "" {
		if d.CheckIns, err = contrary.complete(ctx, r, f); err != nil {
			return d, err
		}
		d.Contradictions, d.MoreContradictions = contrary.bySite(), contrary.full
		if err := identify(ctx, r, d.Contradictions); err != nil {
			return d, err
		}
	}
	all := list.sorted()
	from := min(page*PageSize, len(all))
	to := min(from+PageSize, len(all))
	d.More = len(all) > to && page < MaxPages-1
	stored, err := records(ctx, r, all[from:to])
	for _, p := range all[from:to] {
		if record, there := stored[p.sequence]; there {
			d.List = append(d.List, record)
		}
	}
	for situation, n := range situations {
		d.Situations = append(d.Situations, Count{situation, n})
	}
	slices.SortFunc(d.Situations, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Number, a.Number), cmp.Compare(a.Situation, b.Situation))
	})
	return d, err
}

// place is where a decision is stored.
type place struct {
	sequence uint64
	site     string
	received time.Time
}

func (p place) compare(other place) int {
	return cmp.Or(p.received.Compare(other.received), cmp.Compare(p.sequence, other.sequence))
}

// newest keeps the newest ones of many. As a heap it has the oldest of them on top.
type newest struct {
	all  []place
	most int
}

func (n *newest) Len() int           { return len(n.all) }
func (n *newest) Less(i, j int) bool { return n.all[i].compare(n.all[j]) < 0 }
func (n *newest) Swap(i, j int)      { n.all[i], n.all[j] = n.all[j], n.all[i] }
func (n *newest) Push(p any)         { n.all = append(n.all, p.(place)) }
func (n *newest) Pop() any           { panic("nothing is taken from it") }

func (n *newest) add(p place) {
	switch {
	case len(n.all) < n.most:
		heap.Push(n, p)
	case p.compare(n.all[0]) > 0:
		n.all[0] = p
		heap.Fix(n, 0)
	}
}

// sorted returns them, the newest first.
func (n *newest) sorted() []place {
	slices.SortFunc(n.all, func(a, b place) int { return b.compare(a) })
	return n.all
}

// records reads those at some places, by their sequence numbers. Those that are not stored
// any more are left out: another one may be there, and of a site that its reader may not see.
func records(ctx context.Context, r Reader, places []place) (map[uint64]visit.Record, error) {
	sequences, at, all := make([]uint64, 0, len(places)), map[uint64]place{}, map[uint64]visit.Record{}
	for _, p := range places {
		sequences, at[p.sequence] = append(sequences, p.sequence), p
	}
	err := r.RecordsAt(ctx, sequences, func(sequence uint64, record visit.Record) {
		if p := at[sequence]; record.Site == p.site && record.Received.Sub(p.received).Abs() < time.Millisecond {
			all[sequence] = record
		}
	})
	return all, err
}

// Each calls fn for each decision that is meant, site by site.
func Each(ctx context.Context, r Reader, f Filter, fn func(visit.Record) error) error {
	stored := f.Result
	if f.Result == ResultFallback {
		stored = visit.ResultAccepted
	}
	for _, site := range f.Sites {
		err := r.Records(ctx, anySite(site), stored, f.From, f.To, func(record visit.Record) error {
			if !f.means(&record) {
				return nil
			}
			return fn(record)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// means reports whether a decision of its days is meant.
func (f Filter) means(r *visit.Record) bool {
	switch f.Result {
	case "":
	case ResultFallback:
		if partOf(r) != 2 {
			return false
		}
	default:
		if r.Result() != f.Result {
			return false
		}
	}
	return slices.ContainsFunc(f.Sites, func(site string) bool { return site == r.Site || site == visit.AllSites })
}

// partOf is the place among [Parts].
func partOf(r *visit.Record) int {
	accepted := r.Verdict == visit.Accept
	switch {
	case r.Order != nil:
		return 4
	case !r.Fallback && accepted:
		return 0
	case !r.Fallback:
		return 1
	case accepted:
		return 2
	default:
		return 3
	}
}

// days are those of the filter, each without any decision.
func (f Filter) days() (all []Day) {
	from := f.From.In(f.Zone)
	for date := from; date.Before(f.To) && len(all) < 400; date = date.AddDate(0, 0, 1) {
		all = append(all, Day{date.Format(time.DateOnly), make([]int, len(Parts)), date})
	}
	return all
}

// day is the place of a time's day, or -1: not every day has 24 hours.
func (f Filter) day(t time.Time, days []Day) int {
	i, found := slices.BinarySearchFunc(days, t, func(d Day, t time.Time) int { return d.begins.Compare(t) })
	switch {
	case !t.Before(f.To):
		return -1
	case found:
		return i
	default:
		return i - 1
	}
}
