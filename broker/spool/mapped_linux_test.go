package spool

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

// mappedResident is how many KB of mapped files this process holds.
func mappedResident(t *testing.T) (kb int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssFile:")
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	return kb
}

// A large spool is not held in memory, and what it gave up is still what was put.
func TestMemory_ALargeSpoolIsNotHeld(t *testing.T) {
	s := openAt(t, t.TempDir())
	before := mappedResident(t)
	const entries, size = 160, 500_000
	highest := 0
	for i := range entries {
		e := sized("a", fmt.Sprint(i), size)
		for at := range e.Message.Data {
			e.Message.Data[at] = byte(i)
		}
		put(t, s, e)
		highest = max(highest, mappedResident(t)-before)
	}
	if highest > 24<<10 {
		t.Errorf("of a spool of %d KB up to %d KB are resident", entries*size>>10, highest)
	}
	for i, item := range all(t, s) {
		if want := bytes.Repeat([]byte{byte(i)}, size); !bytes.Equal(item.Message.Data, want) {
			t.Fatalf("entry %d is another", i)
		}
	}
}
