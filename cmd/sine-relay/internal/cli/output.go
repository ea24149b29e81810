package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
)

// table aligns columns, and prints every cell as [terminal.Printable] does.
type table struct{ out *tabwriter.Writer }

func newTable(out io.Writer, columns ...any) *table {
	t := &table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	if len(columns) > 0 {
		t.row(columns...)
	}
	return t
}

func (t *table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		texts[i] = terminal.Printable(fmt.Sprint(cell))
	}
	fmt.Fprintln(t.out, strings.Join(texts, "\t"))
}

func (t *table) flush() { t.out.Flush() }
