package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// counts are what was done and found.
type counts struct {
	cuts, sectors, acknowledged, starts int           // sectors that were lost
	slowest                             time.Duration // start
	findings
}

func (c *counts) sum(o counts) {
	c.cuts += o.cuts
	c.sectors += o.sectors
	c.acknowledged += o.acknowledged
	c.starts += o.starts
	c.slowest = max(c.slowest, o.slowest)
	c.add(o.findings)
}

// row is what became of one scenario.
type row struct {
	scenario
	counts
	control counts // with a disk that lies
	failed  error
}

// verdict is what should not have been.
func (r row) verdict() error {
	failures := []error{r.failed}
	fail := func(format string, values ...any) {
		failures = append(failures, fmt.Errorf(r.name+": "+format, values...))
	}
	if r.missing > 0 {
		fail("%d that were acknowledged are missing", r.missing)
	}
	if r.twice+r.altered > 0 {
		fail("%d events are stored twice, and %d altered", r.twice, r.altered)
	}
	if r.failed == nil && (r.acknowledged == 0 || r.control.missing == 0 && !r.resends) {
		fail("this run proves nothing: %d were acknowledged, and a disk that lies lost %d of %d", r.acknowledged, r.control.missing, r.control.acknowledged)
	}
	return errors.Join(failures...)
}

// printTable shows every scenario and their sum, and returns what should not have been.
func printTable(out io.Writer, rows []row) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "scenario\tcuts\tsectors lost\tacknowledged\tmissing\ttwice\taltered\tstarts\tslowest\tcontrol\t")
	var total row
	total.name = "TOTAL"
	var failures []error
	for _, r := range rows {
		failures = append(failures, r.verdict())
		r.print(w)
		total.sum(r.counts)
		total.control.sum(r.control)
	}
	total.print(w)
	return errors.Join(append(failures, w.Flush())...)
}

func (r row) print(w io.Writer) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d ms\t%d of %d\t\n", r.name, r.cuts, r.sectors, r.acknowledged, r.missing,
		r.twice, r.altered, r.starts, r.slowest.Milliseconds(), r.control.missing, r.control.acknowledged)
}
