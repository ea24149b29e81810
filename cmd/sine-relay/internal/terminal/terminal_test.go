package terminal

import (
	"errors"
	"testing"
)

func TestPrintable_EscapesControlCharacters(t *testing.T) {
	for text, want := range map[string]string{
		"Zoë Łukasz 山田":        "Zoë Łukasz 山田",
		`a "quoted" \ text`:    `a "quoted" \ text`,
		"a\x1b[2Jb":            `"a\x1b[2Jb"`,
		"two\nlines":           `"two\nlines"`,
		"turned \u202e around": `"turned \u202e around"`,
		"no UTF-8 \x9b2J":      `"no UTF-8 \x9b2J"`,
		"a C1 \u009b2J":        `"a C1 \u009b2J"`,
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q is shown as %s, want %s", text, got, want)
		}
	}
	if got, want := PrintableLines("{\n\t\"\x1b\x9b\u202e\ufffd\\\"\r\n}"), "{\n\t\"\\x1b\\x9b\\u202e\ufffd\\\"\\r\n}"; got != want {
		t.Errorf("shown as %s, want %s", got, want)
	}
	if got := PrintableError(errors.New("refused\nok  all is well")); got != "refused\n  ok  all is well" {
		t.Errorf("shown as %s", got)
	}
}
