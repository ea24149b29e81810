//go:build unix

package server

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestLog_CountsTheLinesLostWithoutAReader(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "log")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	reader := func() *os.File {
		t.Helper()
		f, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first := reader()
	write, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	log, flush := NewLogger(write, 0, "json")
	log.Info("read")
	flush()
	if n, err := first.Read(make([]byte, 1000)); n == 0 || err != nil {
		t.Fatalf("%d bytes were read: %v", n, err)
	}
	first.Close()
	for range 3 {
		log.Info("lost")
	}
	flush()
	second := reader()
	log.Info("read again")
	flush()
	write.Close()
	lines, err := io.ReadAll(second)
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		Msg, Level string
		Lines      int
	}
	var got []line
	for decode := json.NewDecoder(bytes.NewReader(lines)); decode.More(); {
		var l line
		if err := decode.Decode(&l); err != nil {
			t.Fatal(err)
		}
		got = append(got, l)
	}
	if len(got) != 2 || got[0].Lines != 3 || got[0].Level != "WARN" || got[1].Msg != "read again" {
		t.Errorf("%s", lines)
	}
}

// flaky takes a part of each line while it is full.
type flaky struct {
	strings.Builder
	full bool
}

func (f *flaky) Write(line []byte) (int, error) {
	if f.full {
		n, _ := f.Builder.Write(line[:min(5, len(line))])
		return n, syscall.ENOSPC
	}
	return f.Builder.Write(line)
}

// A disk that is full takes a part of a line, and would join the rest to the next.
func TestLog_CutLineDoesNotSpoilTheNext(t *testing.T) {
	t.Parallel()
	to := &flaky{full: true}
	apart := detach(to, asText, 0)
	apart.Write([]byte("the first line\n"))
	apart.flush()
	to.full = false
	apart.Write([]byte("the second line\n"))
	apart.flush()
	got := strings.Split(to.String(), "\n")
	if len(got) != 4 || got[0] != "the f" || !strings.Contains(got[1], "lines are missing\" lines=1") || got[2] != "the second line" {
		t.Errorf("%q", got)
	}
}
