package spool

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/wal"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

// children are what this binary does when a test starts it as a process of its
// own, in the directory that it is given.
var children = map[string]func(dir string) error{
	"put":   putUntilKilled,
	"hold":  holdOpen,
	"audit": openAndUse,
}

func TestMain(m *testing.M) {
	child, ok := children[os.Getenv("SPOOL_CHILD")]
	if !ok {
		wait.Main(m)
	}
	if err := child(os.Getenv("SPOOL_DIR")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// headerBytes begin a segment, before its records.
const headerBytes = 512

func command(t *testing.T, child, dir string, env ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), exe)
	c.Env = append(append(os.Environ(), "SPOOL_CHILD="+child, "SPOOL_DIR="+dir), env...)
	c.Stderr = os.Stderr
	return c
}

func openAt(t testing.TB, dir string) *Spool {
	t.Helper()
	return openWith(t, Config{Dir: dir, MaxBytes: 1 << 30})
}

func openWith(t testing.TB, cfg Config) *Spool {
	t.Helper()
	cfg.window = cmp.Or(cfg.window, time.Nanosecond) // most tests put one by one
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// newest is the newest segment of a spool.
func newest(dir string) string {
	if all := segmentsIn(dir); len(all) > 0 {
		return all[len(all)-1]
	}
	return filepath.Join(dir, wal.Name(1))
}

func segmentsIn(dir string) []string {
	all, _ := filepath.Glob(filepath.Join(dir, "*"+wal.Suffix)) // the pattern is good
	return all
}

func damagedIn(dir string) []string {
	all, _ := filepath.Glob(filepath.Join(dir, "*"+suffixDamaged+"*"))
	return all
}

func closed(t testing.TB, s *Spool) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func entry(order, id string) Entry {
	return sized(order, id, 100)
}

func sized(order, id string, bytes int) Entry {
	return Entry{Order: order, Message: visit.Message{
		Root: visit.RootEvent, Subject: "visitors.v1.event.hq.checked_in", ID: id,
		Header: map[string][]string{"ce-id": {id}}, Data: make([]byte, bytes),
	}}
}

func put(t testing.TB, s *Spool, entries ...Entry) {
	t.Helper()
	for _, e := range entries {
		if err := s.Put(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// all returns what is in the spool, oldest first.
func all(t testing.TB, s *Spool) []Item {
	t.Helper()
	var items []Item
	if err := s.Each(func(i Item) error { items = append(items, i); return nil }); err != nil {
		t.Fatal(err)
	}
	return items
}

func ids(items []Item) []string {
	got := []string{}
	for _, i := range items {
		got = append(got, i.Message.ID)
	}
	return got
}

// NextOfEach returns the oldest event of each ordering key, oldest first, at most max.
func (s *Spool) NextOfEach(max int) ([]Item, error) {
	runs, err := s.Runs(visit.RootEvent, max, 1) // one of each
	items := make([]Item, len(runs))
	for i, run := range runs {
		items[i] = run[0]
	}
	return items, err
}

func nextOfEach(t testing.TB, s *Spool, max int) []Item {
	t.Helper()
	items, err := s.NextOfEach(max)
	if err != nil {
		t.Fatal(err)
	}
	return items
}

func remove(t testing.TB, s *Spool, sequences ...uint64) {
	t.Helper()
	if err := s.Remove(context.Background(), sequences...); err != nil {
		t.Fatal(err)
	}
}
