package window

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
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

// review returns what is in the window, run by run.
func review(t *testing.T, w *Window) (runs [][]visit.Message) {
	t.Helper()
	err := w.Review(func(all []*Run) error {
		for _, run := range all {
			var messages []visit.Message
			for i := range run.Len() {
				if a, ok := run.Read(i); ok {
					messages = append(messages, a.Message)
				}
			}
			runs = append(runs, messages)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

func idsOf(runs [][]visit.Message) (ids [][]string) {
	for _, run := range runs {
		var of []string
		for _, m := range run {
			of = append(of, m.ID)
		}
		ids = append(ids, of)
	}
	return ids
}

// byKey are numbered messages in their runs.
func byKey(numbers ...int) (runs [][]visit.Message) {
	for key := range 3 {
		var run []visit.Message
		for _, n := range numbers {
			if n%3 == (numbers[0]+key)%3 {
				run = append(run, numbered(n))
			}
		}
		if len(run) > 0 {
			runs = append(runs, run)
		}
	}
	return runs
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
	var want []int
	for round := range 2 { // the second process finds what the first has added
		w := open(t, Config{Dir: dir, segment: wal.MinBytes})
		for i := range 1000 {
			w.Add(numbered(1000*round + i))
			want = append(want, 1000*round+i)
		}
		if round == 1 {
			for range 2 { // and it stays: there may be a second loss
				if got := review(t, w); !reflect.DeepEqual(got, byKey(want...)) {
					t.Errorf("%v, want numbers up to %d", idsOf(got), len(want))
				}
			}
		}
		w.Close()
	}
	if files := windowFiles(t, dir); len(files) < 3 {
		t.Errorf("%d segments", len(files))
	}
}

// What was on its way when others began to be sent again is acknowledged before these.
func TestWindow_WhatIsSentAgainKeepsItsPlace(t *testing.T) {
	t.Parallel()
	w := open(t, Config{Dir: t.TempDir(), segment: wal.MinBytes})
	defer w.Close()
	var want []int
	for i := range 1000 {
		w.Add(numbered(i))
		want = append(want, i)
	}
	err := w.Review(func([]*Run) error {
		for i := 1000; i < 1010; i++ {
			w.Add(numbered(i))
			want = append(want, i)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := review(t, w); !reflect.DeepEqual(got, byKey(want...)) {
		t.Errorf("%v, want numbers up to %d", idsOf(got), len(want))
	}
}

// A segment takes up its room from the start.
func TestWindow_ToSendAgainTakesUpNoRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := open(t, Config{Dir: dir})
	defer w.Close()
	var want []int
	for i := range 100 {
		w.Add(numbered(i))
		want = append(want, i)
		if got := review(t, w); !reflect.DeepEqual(got, byKey(want...)) {
			t.Fatalf("%v, want numbers up to %d", idsOf(got), i)
		}
	}
	if files := windowFiles(t, dir); len(files) != 1 {
		t.Errorf("%d segments", len(files))
	}
}

func TestWindow_WhatIsDroppedIsThereNoMore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := open(t, Config{Dir: dir})
	for i := range 6 {
		w.Add(numbered(i))
	}
	stop := errors.New("stop")
	err := w.Review(func(runs []*Run) error {
		runs[1].Drop(0)
		runs[2].Drop(0)
		runs[2].Drop(1)
		return stop
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	for range 2 {
		if got := review(t, w); !reflect.DeepEqual(got, byKey(0, 3, 4)) {
			t.Errorf("%v are left", idsOf(got))
		}
		if got := w.Stats().Messages; got != 3 {
			t.Errorf("%d are counted", got)
		}
		w.Close()
		w = open(t, Config{Dir: dir})
	}
	w.Close()
}

// The system's clock may be set while the relay runs.
func TestWindow_AClockThatStepsMakesNothingOlder(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{-time.Hour, time.Hour} {
		w := open(t, Config{Dir: t.TempDir(), stepped: step})
		w.Add(numbered(1))
		err := w.Review(func(runs []*Run) error {
			if a, ok := runs[0].Read(0); !ok || a.Age < 0 || a.Age > time.Minute {
				t.Errorf("after a step of %s it is %s old", step, a.Age)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		w.Close()
	}
}

// The receiver may take as long to sync what is sent again as it may the first time.
func TestWindow_WhatIsSentAgainIsKeptForAsLong(t *testing.T) {
	t.Parallel()
	w := open(t, Config{Dir: t.TempDir(), MaxAge: 300 * time.Millisecond})
	defer w.Close()
	added := time.Now()
	w.Add(numbered(1))
	wait.Until(t, "it would be old enough", func() bool { return time.Since(added) > 400*time.Millisecond })
	again := time.Now()
	if got := review(t, w); len(got) != 1 {
		t.Fatalf("%v", idsOf(got))
	}
	wait.Until(t, "it is forgotten", func() bool {
		w.Confirm(time.Now())
		return w.Stats().Messages == 0
	})
	if took := time.Since(again); took < 300*time.Millisecond {
		t.Errorf("it was kept for %s", took)
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
	got := slices.Concat(review(t, w)...)
	if !slices.ContainsFunc(got, func(m visit.Message) bool { return m.ID == "299" }) || len(got) < 20 {
		t.Errorf("%d messages: %v", len(got), idsOf([][]visit.Message{got}))
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
	if got := review(t, w); !reflect.DeepEqual(got, byKey(1, 2)) {
		t.Errorf("%v", idsOf(got))
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
	if got := review(t, w); len(got) != 1 {
		t.Errorf("%v", idsOf(got))
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

// A disk that is slower than what comes must not have the memory fill.
func TestWindow_WhatWaitsForTheDiskIsBounded(t *testing.T) {
	t.Parallel()
	w := open(t, Config{Dir: t.TempDir(), MaxBytes: 1 << 30})
	defer w.Close()
	w.files.Lock() // as long as a slow disk has it
	large := numbered(1)
	large.Data = make([]byte, maxUnwrittenBytes/4)
	for range 6 {
		w.Add(large)
	}
	w.mu.Lock()
	queued, bytes := len(w.queue), w.unwritten
	w.mu.Unlock()
	stats := w.Stats()
	w.files.Unlock()
	if stats.LeftOut != 2 || queued != 4 || bytes != maxUnwrittenBytes {
		t.Errorf("%+v, %d wait with %d bytes", stats, queued, bytes)
	}
	wait.Until(t, "what waited is written", func() bool { return w.messages.Load() == 4 })
	w.Add(numbered(2))
	if w.Stats().LeftOut != 2 {
		t.Error("one is left out although nothing waits")
	}
}

// What comes meanwhile may be as large as the window.
func TestWindow_WhatIsBeingSentAgainStays(t *testing.T) {
	t.Parallel()
	w := open(t, Config{Dir: t.TempDir(), MaxBytes: 1 << 20})
	defer w.Close()
	large := func(i int) visit.Message {
		m := numbered(i)
		m.Data = make([]byte, 20<<10)
		return m
	}
	for i := range 40 {
		w.Add(large(i))
	}
	err := w.Review(func(runs []*Run) error {
		for i := range 40 {
			w.Add(large(40 + i))
		}
		w.files.Lock()
		w.flush()
		w.files.Unlock()
		for key, run := range runs {
			for i := range run.Len() {
				if a, ok := run.Read(i); !ok || a.Message.ID != fmt.Sprint(3*i+key) {
					t.Errorf("%s comes, want %d", a.Message.ID, 3*i+key)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
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
			w.files.Lock() // it would make a directory between the two
			err := errors.Join(os.Remove(dir), os.Rename(dir+".away", dir))
			w.files.Unlock()
			if err != nil {
				t.Fatal(err)
			}
			wait.Until(t, "it is open", w.IsOpen)
			w.Add(numbered(3))
			if w.Knows("server") == loses {
				t.Errorf("that it knows the server is %v", !loses)
			}
			if got := review(t, w); !reflect.DeepEqual(got, byKey(1, 3)) {
				t.Errorf("%v", idsOf(got))
			}
		})
	}
}
