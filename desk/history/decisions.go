package history

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
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
	// Contradictions are those of sites that have any. They are sought for among all
	// results alone. MoreContradictions is set where there may be more.
	Contradictions     []SiteContradictions
	MoreContradictions bool
	// List is one page, the newest first. More is set where another one follows.
	List []visit.Record
	More bool
}

// Read counts all decisions and lists one page of them, from 0 on. It keeps no more than
// the pages up to that one.
func Read(ctx context.Context, r Reader, f Filter, page int) (Decisions, error) {
	page = min(max(page, 0), MaxPages-1)
	d := Decisions{Days: f.days()}
	situations := map[string]int{}
	wanted := (page+1)*PageSize + 1 // one more shows that another page follows
	var newest []visit.Record
	var contrary contradictions
	for _, site := range f.Sites {
		last := tail{most: wanted}
		one := f
		one.Sites = []string{site}
		err := Each(ctx, r, one, func(record visit.Record) error {
			last.add(record)
			if record.Synthetic {
				d.Tests++
				return nil
			}
			contrary.reject(&record)
			d.Total++
			situations[record.Situation]++
			if i := f.day(record.Received, d.Days); i >= 0 {
				d.Days[i].Parts[partOf(&record)]++
			}
			return nil
		})
		if err != nil {
			return d, err
		}
		newest = append(newest, last.all...)
		slices.SortStableFunc(newest, func(a, b visit.Record) int { return b.Received.Compare(a.Received) })
		newest = newest[:min(len(newest), wanted)]
	}
	if f.Result == "" {
		if err := contrary.complete(ctx, r, f); err != nil {
			return d, err
		}
		d.Contradictions, d.MoreContradictions = contrary.bySite(), contrary.full
	}
	from := min(page*PageSize, len(newest))
	to := min(from+PageSize, len(newest))
	d.List, d.More = newest[from:to], len(newest) > to && page < MaxPages-1
	for situation, n := range situations {
		d.Situations = append(d.Situations, Count{situation, n})
	}
	slices.SortFunc(d.Situations, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Number, a.Number), cmp.Compare(a.Situation, b.Situation))
	})
	return d, nil
}

// tail keeps the last ones of many, in no order.
type tail struct {
	all  []visit.Record
	most int
	next int
}

func (t *tail) add(r visit.Record) {
	if len(t.all) < t.most {
		t.all = append(t.all, r)
		return
	}
	t.all[t.next] = r
	t.next = (t.next + 1) % t.most
}

// Each calls fn for each decision that is meant, site by site.
func Each(ctx context.Context, r Reader, f Filter, fn func(visit.Record) error) error {
	stored := f.Result
	if f.Result == ResultFallback {
		stored = visit.ResultAccepted
	}
	for _, site := range f.Sites {
		err := r.Records(ctx, anySite(site), stored, f.From, f.To, func(record visit.Record) error {
			if f.Result == ResultFallback && partOf(&record) != 2 {
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

// CSV writes decisions as rows.
type CSV struct{ w *csv.Writer }

// NewCSV writes the head of the table.
func NewCSV(w io.Writer) CSV {
	c := CSV{csv.NewWriter(w)}
	c.w.Write([]string{"received", "site", "integration", "request_id", "reference", "visit", "verdict", "situation", "fallback", "rule", "decider", "order", "order_by", "took_ms", "policy", "synthetic"})
	return c
}

// Write writes one row.
func (c CSV) Write(r visit.Record) error {
	order, by := "", ""
	if r.Order != nil {
		order, by = string(r.Order.Kind), cmp.Or(r.Order.By, r.Order.User)
	}
	row := []string{
		r.Received.Format(time.RFC3339), r.Site, r.Integration, r.RequestID, r.Reference, r.Visit.Value, string(r.Verdict), r.Situation,
		fmt.Sprint(r.Fallback), r.Rule, r.Decider, order, by, fmt.Sprintf("%.1f", r.TookMs), r.Policy, fmt.Sprint(r.Synthetic),
	}
	for i, cell := range row {
		row[i] = inert(visit.CleanText(cell))
	}
	return c.w.Write(row)
}

// Flush writes what is left.
func (c CSV) Flush() error {
	c.w.Flush()
	return c.w.Error()
}

// inert keeps a spreadsheet from taking a text for a formula.
func inert(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
