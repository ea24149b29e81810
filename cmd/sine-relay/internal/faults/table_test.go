//go:build linux && faults

package faults

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// row is what all runs of one scenario came to.
type row struct {
	name string
	runs int
	sum  verdict
}

// table is printed when all tests have ended.
type table struct {
	mu       sync.Mutex
	rows     []*row
	checkIns []checkInRow
	notes    []string // printed below it
}

var closing table

func (t *table) add(name string, v *verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.row(name)
	r.runs++
	r.sum = plus(r.sum, *v)
}

// announce fixes the order of rows: tests end in any.
func (t *table) announce(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.row(name)
}

func (t *table) note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notes = append(t.notes, text)
}

// checkInRow is what came of visitors in one scenario.
type checkInRow struct {
	name string
	checkInVerdict
}

func (t *table) addCheckIns(name string, v *checkInVerdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.checkIns = append(t.checkIns, checkInRow{name, *v})
}

func (t *table) printCheckIns(w io.Writer) {
	if len(t.checkIns) == 0 {
		return
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "scenario\tvisitors\tadmitted\trejected\tundecided\tlongest ms\twrong\tunanswered\t")
	for _, d := range t.checkIns {
		fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", d.name, d.asked, d.admitted, d.rejected, d.undecided,
			d.longest/time.Millisecond, d.wrong, d.unanswered)
	}
	out.Flush()
}

func (t *table) row(name string) *row {
	for _, r := range t.rows {
		if r.name == name {
			return r
		}
	}
	r := &row{name: name}
	t.rows = append(t.rows, r)
	return r
}

func (t *table) print(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = slices.DeleteFunc(t.rows, func(r *row) bool { return r.runs == 0 })
	if len(t.rows) == 0 {
		return
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "scenario\truns\tsent\tkept\t503\tspooled\tbatched\tresent\tlongest ms\texcused\tmissing\ttwice\taltered\tinverted\tstrange\tledger\t")
	all := &row{name: "all"}
	for _, r := range t.rows {
		r.print(out)
		all.runs += r.runs
		all.sum = plus(all.sum, r.sum)
	}
	all.print(out)
	out.Flush()
	t.printCheckIns(w)
	for _, note := range t.notes {
		fmt.Fprintln(w, note)
	}
}

func (r *row) print(w io.Writer) {
	s := r.sum
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", r.name, r.runs, s.sent, s.kept, s.refused, s.spooled,
		s.batched, s.resent, s.longest/time.Millisecond, s.excused, s.missing, s.twice, s.altered, s.inverted, s.strange, s.ledger)
}

func plus(a, b verdict) verdict {
	return verdict{
		sent: a.sent + b.sent, kept: a.kept + b.kept, refused: a.refused + b.refused, spooled: a.spooled + b.spooled,
		batched: a.batched + b.batched, resent: a.resent + b.resent, excused: a.excused + b.excused,
		longest: max(a.longest, b.longest),
		missing: a.missing + b.missing, twice: a.twice + b.twice, altered: a.altered + b.altered,
		inverted: a.inverted + b.inverted, strange: a.strange + b.strange, ledger: a.ledger + b.ledger,
	}
}
