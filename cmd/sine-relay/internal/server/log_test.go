package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// A full pipe would hold up every visitor before the answer.
func TestLog_UnreadPipeDoesNotBlock(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	log, flush := NewLogger(write, 0, "json")
	const lines = 3 * detachedLines
	for n := range lines {
		log.Info("line", "n", n, "padding", strings.Repeat("x", 100))
	}
	go func() {
		for range 10 {
			log.Info("later")
		}
		flush()
		write.Close()
	}()
	seen, missing := 0, 0
	for scan := bufio.NewScanner(read); scan.Scan(); {
		var n int
		if i := strings.Index(scan.Text(), `"lines":`); i > 0 {
			fmt.Sscanf(scan.Text()[i:], `"lines":%d}`, &n)
			missing += n
			continue
		}
		seen++
	}
	if missing == 0 || seen+missing != lines+10 {
		t.Errorf("%d lines are there and %d are said to be missing, of %d", seen, missing, lines+10)
	}
	io.Copy(io.Discard, read)
}

// Whoever reads a line sees what it says, not what an order's text makes of it.
func TestLog_LinesArePrintable(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log, _ := NewLogger(&out, 0, format)
		log.Info("mess\u202eage", "reason", "a\u202eb", "err", errors.New("c\u2066d\x1b[2J"), "plain", "Gasleck in Haus Süd")
		if text := out.String(); strings.ContainsAny(text, "\u202e\u2066\x1b") || !strings.Contains(text, "Gasleck in Haus Süd") || !strings.Contains(text, `a\`) {
			t.Errorf("%s: %q", format, text)
		}
	}
}
