package terminal

import (
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a command prints came from deciders, from others on NATS, from Sine and from
// files. A terminal obeys some of it: an escape sequence hides a line, a line break
// forges one, a character that turns the direction of writing shows another name. So
// every text goes through this file before it is printed.

// Printable is a text for one line: in quotes and escaped, as Go writes it, where
// it has a character that cannot be printed.
func Printable(text string) string {
	if IsPrintable(text) {
		return text
	}
	return strconv.Quote(text)
}

// IsPrintable looks at the bytes too: alone, some of those that are not UTF-8 are
// control characters of a terminal.
func IsPrintable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// PrintableLines is a text of several lines. Only its line breaks and tabs stay;
// other characters that cannot be printed are escaped where they stand.
func PrintableLines(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		char := text[:size]
		if !IsPrintable(char) && r != '\n' && r != '\t' {
			quoted := strconv.Quote(char)
			char = quoted[1 : len(quoted)-1]
		}
		b.WriteString(char)
		text = text[size:]
	}
	return b.String()
}

// PrintableError is an error's text. Its first line follows what it is printed
// behind; further lines are indented, so that none looks like one of ours.
func PrintableError(err error) string {
	return strings.ReplaceAll(PrintableLines(err.Error()), "\n", "\n  ")
}

// Is reports whether a person may look at what is written to w.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	nowhere, err := os.Stat(os.DevNull) // a character device, too
	return err != nil || !os.SameFile(info, nowhere)
}

// bareWord needs no quotes in a shell.
var bareWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// Quoted is a text as a word for a shell.
func Quoted(text string) string {
	if bareWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
