package history

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

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
