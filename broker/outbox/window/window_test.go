package window

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/disk"
	"github.com/sine-relay/sine-relay/broker/outbox/wal"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

func open(t *testing.T, cfg Config) *Window {
	t.Helper()
	if cfg.MaxAge == 0 {
		cfg.MaxAge = time.Hour
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 64 << 20
	}
	w, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func numbered(n int) visit.Message {
	return visit.Message{
		Root: visit.RootEvent, Subject: "visitors.v1.event.hq.checked_in", ID: fmt.Sprint(n), OrderingKey: "visit/" + fmt.Sprint(n%3),
		Header: map[string][]string{"Nats-Msg-Id": {fmt.Sprint(n)}}, Data: []byte{0, 0xff, byte(n)},
	}
}

func take(t *testing.T, w *Window) (all []visit.Message) {
	t.Helper()
	err := w.Take(func(some []Acknowledged) error {
		for _, a := range some {
			all = append(all, a.Message)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// windowFiles are the names of the segments that are on the disk.
func windowFiles(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+wal.Suffix))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestWindow_GivesBackWhatWasAddedInItsOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var want []visit.Message
	for round := range 2 { // the second process finds what the first has added
		w := open(t, Config{Dir: dir})
		for i := range 100 {
			m := numbered(100*round + i)
			w.Add(m)
			want = append(want, m)
		}
		if round == 0 {
			w.Close()
			continue
		}
		if got := take(t, w); !reflect.DeepEqual(got, want) {
			t.Errorf("%d messages, want %d", len(got), len(want))
		}
		if again := take(t, w); len(again) > 0 {
			t.Errorf("%d of them come again", len(again))
		}
		if left := windowFiles(t, dir); len(left) > 0 {
			t.Errorf("left on the disk: %v", left)
		}
		w.Close()
	}
}

// What was on its way when others began to be sent again is acknowledged before these.
func TestWindow_WhatWasSentAgainKeepsItsPlace(t *testing.T) {
	t.Parallel()
	w := open(t, Config{Dir: t.TempDir()})
	defer w.Close()
	first := []visit.Message{numbered(0), numbered(1)}
	for _, m := range first {
		w.Add(m)
	}
	err := w.Take(func(some []Acknowledged) error {
		w.Add(numbered(2))
		for _, a := range some {
			w.AddAgain(a)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := take(t, w), append(first, numbered(2)); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestWindow_WhatWasNotTakenComesAgain(t *testing.T) {
	t.Parallel()
	w := open(t, Config{Dir: t.TempDir()})
	defer w.Close()
	for i := range 10 {
		w.Add(numbered(i))
	}
	stop := errors.New("stop")
	err := w.Take(func([]Acknowledged) error { return stop })
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	w.Add(numbered(10))
	if got := take(t, w); len(got) != 11 || got[10].ID != "10" {
		t.Errorf("%d messages: %v", len(got), got)
	}
}

func TestWindow_ForgetsWhatIsOldEnough(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := open(t, Config{Dir: dir, MaxAge: 100 * time.Millisecond})
	defer w.Close()
	for i := range 10 {
		w.Add(numbered(i))
	}
	wait.Until(t, "it is written", func() bool { return len(windowFiles(t, dir)) > 0 })
	written := time.Now()
	w.Confirm(written) // a receiver that is away since may have lost it
	wait.Until(t, "it would be old enough", func() bool { return time.Since(written) > 300*time.Millisecond })
	if got := w.Stats().Messages; got != 10 {
		t.Errorf("%d are kept of a receiver that is away", got)
	}
	w.Confirm(time.Now())
	wait.Until(t, "it is forgotten, and deleted", func() bool { return w.Stats().Messages == 0 && len(windowFiles(t, dir)) == 0 })
}

func TestWindow_TakesUpNoMoreThanItsBytes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const bound = 1 << 20
	w := open(t, Config{Dir: dir, MaxBytes: bound})
	defer w.Close()
	for i := range 300 {
		m := numbered(i)
		m.Data = make([]byte, 20<<10)
		w.Add(m)
		if i%50 == 49 {
			w.files.Lock()
			w.flush()
			w.files.Unlock()
			if got := w.Stats().Bytes; got > bound {
				t.Fatalf("%d bytes after %d messages", got, i+1)
			}
		}
	}
	got := take(t, w)
	if len(got) < 20 || got[len(got)-1].ID != "299" {
		t.Errorf("%d messages, the newest is %v", len(got), got[len(got)-1].ID)
	}
}

func TestWindow_RemembersServers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := open(t, Config{Dir: dir})
	for i := range maxServers + 1 {
		if err := w.Remember(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	w = open(t, Config{Dir: dir})
	if w.Knows("0") || !w.Knows("1") || !w.Knows(fmt.Sprint(maxServers)) {
		t.Errorf("it knows %v", w.servers)
	}
	w.Close()
	if err := os.WriteFile(filepath.Join(dir, serversFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	w = open(t, Config{Dir: dir})
	defer w.Close()
	if w.Knows("1") {
		t.Error("it knows a server from a file that cannot be read")
	}
}

func TestWindow_SecondOpenerIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := open(t, Config{Dir: dir})
	defer w.Close()
	if _, err := Open(Config{Dir: dir, MaxAge: time.Hour, MaxBytes: 1 << 20}); !errors.Is(err, disk.ErrInUse) {
		t.Error(err)
	}
}

// What a loss of power has left may be anything.
func TestWindow_UnreadableFilesAreNoObstacle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := open(t, Config{Dir: dir})
	w.Add(numbered(1))
	w.Close()
	for name, content := range map[string]string{
		"0000000000000007.log": "not a segment", "0000000000000008.log": "", "0000000000000009.new": "a draft", "readme.txt": "somebody's",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w = open(t, Config{Dir: dir})
	defer w.Close()
	w.Add(numbered(2))
	if got := take(t, w); len(got) != 2 || got[0].ID != "1" || got[1].ID != "2" {
		t.Errorf("%v", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "readme.txt")); err != nil {
		t.Error(err)
	}
}

func TestWindow_ARemovedDirectoryIsMadeAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "window")
	w := open(t, Config{Dir: dir})
	defer w.Close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	w.Add(numbered(1))
	wait.Until(t, "it is written", func() bool { return len(windowFiles(t, dir)) == 1 })
	if got := take(t, w); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestWindow_CountsWhatADiskDoesNotTake(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "window")
	w := open(t, Config{Dir: dir})
	defer w.Close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // in its place
		t.Fatal(err)
	}
	w.Add(numbered(1))
	wait.Until(t, "it is left out", func() bool { return w.Stats().LeftOut == 1 })
	if err := w.Remember("server"); err == nil || !strings.Contains(err.Error(), "remember the servers") || !w.Knows("server") {
		t.Error(err, w.Knows("server"))
	}
}

// A stream that takes it all again may be as large as the window.
func TestWindow_WhatIsBeingTakenStays(t *testing.T) {
	t.Parallel()
	const bound = 1 << 20
	w := open(t, Config{Dir: t.TempDir(), MaxBytes: bound})
	defer w.Close()
	large := func(i int) visit.Message {
		m := numbered(i)
		m.Data = make([]byte, 20<<10)
		return m
	}
	for i := range 40 {
		w.Add(large(i))
	}
	seen := 0
	err := w.Take(func(some []Acknowledged) error {
		for _, a := range some {
			if want := fmt.Sprint(seen); a.Message.ID != want {
				t.Fatalf("%s comes, want %s", a.Message.ID, want)
			}
			seen++
			w.AddAgain(a)
		}
		return nil
	})
	if err != nil || seen != 40 {
		t.Errorf("%d came, %v", seen, err)
	}
	if got := take(t, w); len(got) == 0 || got[len(got)-1].ID != "39" {
		t.Errorf("%d are kept again", len(got))
	}
}

// A volume may come late, or fail at the start.
func TestWindow_OneThatCannotBeOpenedIsOpenedLater(t *testing.T) {
	t.Parallel()
	for name, loses := range map[string]bool{"with the servers that it knows": false, "after a loss": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "window")
			w := open(t, Config{Dir: dir})
			w.Add(numbered(1))
			if err := w.Remember("server"); err != nil {
				t.Fatal(err)
			}
			w.Close()
			if err := errors.Join(os.Rename(dir, dir+".away"), os.WriteFile(dir, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			w = open(t, Config{Dir: dir, reopen: time.Millisecond})
			defer w.Close()
			w.Add(numbered(2))
			wait.Until(t, "it is left out", func() bool { return w.Stats().LeftOut == 1 })
			if loses {
				if err := w.ForgetServers(); err != nil {
					t.Error(err)
				}
			}
			if w.IsOpen() {
				t.Error("it is open")
			}
			if err := errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)); err != nil {
				t.Fatal(err)
			}
			wait.Until(t, "it is open", w.IsOpen)
			w.Add(numbered(3))
			if w.Knows("server") == loses {
				t.Errorf("that it knows the server is %v", !loses)
			}
			if got := take(t, w); len(got) != 2 || got[0].ID != "1" || got[1].ID != "3" {
				t.Errorf("%v", got)
			}
		})
	}
}
