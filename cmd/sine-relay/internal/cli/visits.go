package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/visit"
)

// visitRow is a line of `visits --output json` and `tail --output json`: a check-in
// request and how it was answered, or an event. Where a name stands in [visit.Record]
// or [visit.Event], too, it means the same.
type visitRow struct {
	// Time is when the relay received it.
	Time        time.Time  `json:"time"`
	Kind        visit.Kind `json:"kind"`
	Site        string     `json:"site"`
	Integration string     `json:"integration,omitempty"`
	// Result is accepted or rejected for a check-in request, stored for an event,
	// correction for an event that corrects another, and unreadable for what somebody else
	// than a relay wrote there.
	Result string `json:"result"`
	// By is what answered a check-in request: decider, fallback, lockdown or override.
	By        string           `json:"by,omitempty"`
	Decider   string           `json:"decider,omitempty"`
	Situation string           `json:"situation,omitempty"`
	Rule      string           `json:"rule,omitempty"`
	Order     *visit.OrderNote `json:"order,omitempty"`
	TookMs    float64          `json:"tookMs,omitempty"`
	Cause     visit.Cause      `json:"cause,omitempty"`
	Corrects  string           `json:"corrects,omitempty"`
	Revision  int              `json:"revision,omitempty"`
	// Stored is when NATS stored it.
	Stored    time.Time `json:"stored"`
	RequestID string    `json:"requestId,omitempty"`
	Reference string    `json:"reference,omitempty"`
	VisitKey  string    `json:"visitKey,omitempty"`
	Synthetic bool      `json:"synthetic,omitempty"`
	Error     string    `json:"error,omitempty"`
	// Visitor, Company and Host are personal data, and absent without --names. A record
	// of a check-in request has none.
	Visitor string `json:"visitor,omitempty"`
	Company string `json:"company,omitempty"`
	Host    string `json:"host,omitempty"`
}

// Results of a row beside those of a check-in request.
const (
	resultStored     = "stored"
	resultCorrection = "correction"
	resultUnreadable = "unreadable"
)

// visitFlags are those of visits and of tail.
type visitFlags struct {
	site, kind string
	names      bool
	format     *string
}

func addVisitFlags(cmd *cobra.Command) *visitFlags {
	f := &visitFlags{}
	cmd.Flags().StringVar(&f.site, "site", "", "only this `site`; every site unless set")
	kinds := []string{string(visit.KindCheckInRequest), string(visit.KindCheckedIn), string(visit.KindCheckedOut)}
	addChoice(cmd, &f.kind, "kind", "", "kind", kinds, "only this kind: "+strings.Join(kinds, ", "))
	cmd.Flags().BoolVar(&f.names, "names", false, "print the names of visitors, companies and hosts, which are personal data")
	f.format = addOutput(cmd)
	return f
}

func (f *visitFlags) filter() (admin.HistoryFilter, error) {
	if f.site != "" && !visit.ValidName(f.site) {
		return admin.HistoryFilter{}, usagef("%q is not the name of a site: it must match %s", f.site, visit.NamePattern)
	}
	filter := admin.HistoryFilter{Site: f.site}
	if f.kind != "" {
		filter.Kinds = []visit.Kind{visit.Kind(f.kind)}
	}
	return filter, nil
}

// what says in words what the flags mean: check-in requests and events, or one kind.
func (f *visitFlags) what(and string) string {
	what := "check-in requests " + and + " events"
	switch visit.Kind(f.kind) {
	case visit.KindCheckInRequest:
		what = "check-in requests"
	case visit.KindCheckedIn:
		what = "check-ins"
	case visit.KindCheckedOut:
		what = "check-outs"
	}
	if f.site != "" {
		what += " of site " + f.site
	}
	return what
}

func newVisits(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "visits", Short: "List what came in, how it was answered, and by whom.",
		Long: `It lists check-in requests, by the records of how they were answered, and events, in the order in which
the relay received them. Times are those of this machine's time zone, or of TZ. With --output json, each
line is a JSON object of its own, with times in UTC. A row with the result correction is no further visitor:
it is what sine-relay rederive made of an event.`,
		Example: "  sine-relay visits --site hq --since 1h",
	}
	f := addVisitFlags(cmd)
	var since time.Duration
	addDuration(cmd.Flags(), &since, "since", time.Hour, "how far to look back")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return listVisits(cmd.Context(), in, f, since) }
	return cmd
}

func listVisits(ctx context.Context, in Process, f *visitFlags, since time.Duration) error {
	filter, err := f.filter()
	if err != nil {
		return err
	}
	settings, err := operatorSettings(in)
	if err != nil {
		return err
	}
	history, err := admin.OpenHistory(server.AdminConfig(settings))
	if err != nil {
		return err
	}
	defer history.Close()
	filter.Since = time.Now().Add(-since)
	out, progress, rows := newVisitPrinter(in.Stdout, f), newProgress(in.Stderr), 0
	out.hold = heldRows
	progress.show("reading …")
	err = history.Each(ctx, filter, func(e admin.HistoryEntry) error {
		switch rows++; {
		case terminal.Is(in.Stdout) && rows == 1:
			progress.clear() // from now on, the rows themselves are
		case !terminal.Is(in.Stdout) && rows%1000 == 0:
			progress.show("%s, %s", plural(rows, "row"), formatLocal(e.Time))
		}
		return out.print(e)
	})
	progress.clear()
	switch {
	case rows > 0 && *f.format == asTable:
		err = errors.Join(out.flush(), err)
	case rows == 0 && err == nil:
		fmt.Fprintf(in.Stderr, "No %s since %s.\n", f.what("or"), formatLocal(filter.Since))
	}
	return err
}

// visitPrinter prints rows as they come.
type visitPrinter struct {
	*visitFlags
	*rollingTable
}

func newVisitPrinter(out io.Writer, f *visitFlags) *visitPrinter {
	columns := []string{"TIME", "KIND", "SITE", "INTEGRATION", "RESULT", "BY", "REASON", "REFERENCE"}
	if f.names {
		columns = append(columns, "VISITOR", "COMPANY", "HOST")
	}
	p := &visitPrinter{f, newRollingTable(out, columns)}
	// What comes first in a table without end is not the widest of all.
	for i, width := range map[int]int{1: len(visit.KindCheckInRequest), 4: len(visit.ResultAccepted), 5: 20, 6: 40} {
		p.widths[i] = width
	}
	return p
}

func (p *visitPrinter) print(e admin.HistoryEntry) error {
	row := rowOf(e, p.names)
	if *p.format == asJSON {
		return printJSONLine(p.out, row)
	}
	cells := []string{formatLocal(row.Time), string(row.Kind), row.Site, row.Integration, row.Result, byWords(row), becauseWords(row), row.Reference}
	if p.names {
		cells = append(cells, row.Visitor, row.Company, row.Host)
	}
	return p.row(cells)
}

func rowOf(e admin.HistoryEntry, names bool) visitRow {
	row := visitRow{Time: e.Time.UTC(), Kind: e.Kind, Site: e.Site, Stored: e.Stored.UTC()}
	switch {
	case e.Fault != nil:
		row.Result, row.Error = resultUnreadable, e.Fault.Error()
	case e.Record != nil:
		row.ofRecord(*e.Record)
	default:
		row.ofEvent(*e.Event, names)
	}
	return row
}

func (row *visitRow) ofRecord(r visit.Record) {
	row.Integration, row.RequestID, row.Reference, row.VisitKey, row.Synthetic = r.Integration, r.RequestID, r.Reference, r.Visit.Value, r.Synthetic
	row.Decider, row.Situation, row.Rule, row.Order, row.TookMs = r.Decider, r.Situation, r.Rule, r.Order, r.TookMs
	row.Result = visit.ResultAccepted
	if r.Verdict == visit.Reject {
		row.Result = visit.ResultRejected
	}
	switch {
	case r.Order != nil:
		row.By = string(r.Order.Kind)
	case r.Fallback:
		row.By = "fallback"
	default:
		row.By = "decider"
	}
}

func (row *visitRow) ofEvent(e visit.Event, names bool) {
	row.Integration, row.RequestID, row.Reference, row.VisitKey, row.Synthetic = e.Integration, e.RequestID, visit.Reference(e.RequestID), e.Visit.Value, e.Synthetic
	row.Result, row.Cause = resultStored, e.Cause
	if e.IsCorrection() {
		row.Result, row.Corrects, row.Revision = resultCorrection, e.Corrects, e.Revision
	}
	if !names {
		return
	}
	row.Visitor, row.Company = strings.TrimSpace(e.Person.FirstName+" "+e.Person.LastName), e.Company
	if e.Host != nil {
		row.Host = cmp.Or(strings.TrimSpace(e.Host.FirstName+" "+e.Host.LastName), e.Host.Group)
	}
}

// byWords name who answered.
func byWords(row visitRow) string {
	switch {
	case row.Order != nil:
		return strings.TrimSpace(row.By + " of " + row.Order.By)
	case row.By == "fallback" && row.Decider != "":
		return "fallback of " + row.Decider
	default:
		return strings.TrimSpace(row.By + " " + row.Decider)
	}
}

// spooledAfter is how long it takes at least that something was stored which waited
// in a spool, or for NATS.
const spooledAfter = 10 * time.Second

// becauseWords say why a check-in request was answered so, and what is particular about
// an event.
func becauseWords(row visitRow) string {
	var words []string
	add := func(is bool, text string) {
		if is {
			words = append(words, text)
		}
	}
	add(row.Error != "", row.Error)
	add(row.Rule != "", row.Rule)
	add(row.Cause == visit.CauseExpired, "the pass expired")
	add(row.Corrects != "", fmt.Sprintf("correction %d of event %s", row.Revision, row.Corrects))
	late := row.Stored.Sub(row.Time)
	add(late > spooledAfter && row.Corrects == "", "stored "+formatDuration(late.Round(time.Second))+" later")
	add(row.Synthetic, "synthetic")
	return strings.Join(words, "; ")
}

// formatLocal is a time as a clock here shows it.
func formatLocal(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 -07:00") }

// heldRows are looked at for the widths of the columns before the first is printed.
const heldRows = 500

// rollingTable is a table that may have no end: a row is printed as it comes, behind
// the first few. A column is as wide as all that came in it, and of its last one nobody
// knows.
type rollingTable struct {
	out    io.Writer
	widths []int
	rows   [][]string // held
	hold   int
}

func newRollingTable(out io.Writer, columns []string) *rollingTable {
	return &rollingTable{out: out, widths: make([]int, len(columns)), rows: [][]string{columns}}
}

// row prints a row, with its cells as [terminal.Printable] has them.
func (t *rollingTable) row(cells []string) error {
	for i, cell := range cells {
		cells[i] = terminal.Printable(cell)
	}
	t.rows = append(t.rows, cells)
	if t.hold > 0 {
		t.hold--
		return nil
	}
	return t.flush()
}

// flush prints the rows that are held.
func (t *rollingTable) flush() error {
	t.hold = 0
	for _, row := range t.rows {
		for i, cell := range row {
			t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range t.rows {
		var b strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&b, "%-*s  ", t.widths[i], cell)
		}
		if _, err := fmt.Fprintln(t.out, strings.TrimRight(b.String(), " ")); err != nil {
			return fmt.Errorf("print a row: %w", err)
		}
	}
	t.rows = nil
	return nil
}
