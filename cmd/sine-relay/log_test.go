package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// A full pipe would hold up every visitor before the answer.
func TestALogThatNobodyReadsHoldsNobodyUp(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	log, flush := newLogger(write, 0, "json")
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
