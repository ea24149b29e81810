package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
)

// Formats of what a command prints.
const (
	asTable = "table"
	asJSON  = "json"
)

// addOutput gives a command the flag --output.
func addOutput(cmd *cobra.Command) *string {
	format := asTable
	addChoice(cmd, &format, "output", "o", "format", []string{asTable, asJSON}, "table for people, json for programs")
	return &format
}

// printJSON prints a value for programs. What a terminal would obey is escaped, beyond
// what JSON demands: people look at it, too.
func printJSON(w io.Writer, value any) error { return writeJSON(w, value, "  ") }

// printJSONLine is printJSON for one value of many, on a line of its own.
func printJSONLine(w io.Writer, value any) error { return writeJSON(w, value, "") }

func writeJSON(w io.Writer, value any, indent string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(value); err != nil {
		return fmt.Errorf("encode the output: %w", err)
	}
	var printable strings.Builder
	for _, r := range b.String() {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			printable.WriteRune(r)
		case utf8.RuneLen(r) > 3: // as a pair of surrogates
			r -= 0x10000
			fmt.Fprintf(&printable, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&printable, `\u%04x`, r)
		}
	}
	_, err := io.WriteString(w, printable.String())
	return err
}

// table aligns columns, and prints every cell as [terminal.Printable] does.
type table struct {
	out     io.Writer
	text    bytes.Buffer
	aligned *tabwriter.Writer
	columns int
}

func newTable(out io.Writer, columns ...any) *table {
	t := &table{out: out, columns: len(columns)}
	t.aligned = tabwriter.NewWriter(&t.text, 0, 0, 2, ' ', 0)
	if len(columns) > 0 {
		t.row(columns...)
	}
	return t
}

// row may have fewer cells than there are columns.
func (t *table) row(cells ...any) {
	texts := make([]string, max(len(cells), t.columns)) // a missing cell would end the column
	for i, cell := range cells {
		texts[i] = terminal.Printable(fmt.Sprint(cell))
	}
	fmt.Fprintln(t.aligned, strings.Join(texts, "\t"))
}

func (t *table) flush() {
	t.aligned.Flush()
	for line := range strings.Lines(t.text.String()) {
		fmt.Fprintln(t.out, strings.TrimRight(line, " \n"))
	}
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// formatDuration shows whole days as such, and nothing that is zero behind the first
// unit: 7d, 30m, 1h30m.
func formatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d > 0 && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// formatBytes shows a size in the unit that leaves one to four digits.
func formatBytes(n int) string {
	value, units := float64(n), []string{"KiB", "MiB", "GiB"}
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	for value /= 1024; value >= 1024 && len(units) > 1; units = units[1:] {
		value /= 1024
	}
	return fmt.Sprintf("%.1f %s", value, units[0])
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// plural counts in words: 1 message, 2 messages.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// progress shows how far long work is, on a terminal alone.
type progress struct {
	w     io.Writer
	shown int // characters
}

func newProgress(w io.Writer) *progress {
	if !terminal.Is(w) {
		w = nil
	}
	return &progress{w: w}
}

func (p *progress) show(format string, args ...any) {
	if p.w == nil {
		return
	}
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(p.w, "%-*s\r", p.shown, text) // a line of the log begins at its beginning
	p.shown = len(text)
}

// clear makes room for what is printed next.
func (p *progress) clear() { p.show("") }
