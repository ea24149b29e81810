package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"
)

// What a command prints came from deciders, from others on NATS, from Sine and from
// files. A terminal obeys some of it: an escape sequence hides a line, a line break
// forges one, a sign that turns the direction of writing shows another name. So
// every text goes through this file before it is printed.

// printable is a text for one line: in quotes and escaped, as Go writes it, where
// it has a sign that cannot be printed.
func printable(text string) string {
	if isPrintable(text) {
		return text
	}
	return strconv.Quote(text)
}

// isPrintable looks at the bytes too: alone, some of those that are no UTF-8 are
// control characters of a terminal.
func isPrintable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// printableLines is a text of several lines. Only its line breaks and tabs stay;
// other signs that cannot be printed are escaped where they stand.
func printableLines(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		sign := text[:size]
		if !isPrintable(sign) && r != '\n' && r != '\t' {
			quoted := strconv.Quote(sign)
			sign = quoted[1 : len(quoted)-1]
		}
		b.WriteString(sign)
		text = text[size:]
	}
	return b.String()
}

// printableError is an error's text. Its first line follows what it is printed
// behind; further lines are indented, so that none looks like one of ours.
func printableError(err error) string {
	return strings.ReplaceAll(printableLines(err.Error()), "\n", "\n  ")
}

// table aligns columns, and prints every cell as [printable] does.
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
		texts[i] = printable(fmt.Sprint(cell))
	}
	fmt.Fprintln(t.out, strings.Join(texts, "\t"))
}

func (t *table) flush() { t.out.Flush() }
