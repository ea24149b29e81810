package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/wal"
	"github.com/sine-relay/sine-relay/visit"
)

func TestPut_AnEntryComesBackAsItWas(t *testing.T) {
	t.Parallel()
	stored := time.Date(2026, 3, 1, 9, 30, 0, 123456789, time.UTC)
	messages := map[string]visit.Message{
		"an event": entry("", "id").Message,
		"a body that is not text": {
			Root: visit.RootQuarantine, Subject: "s", ID: "i",
			Header: map[string][]string{"a": {"1", "2"}, "b": {}, "Zürich": {"\xff\x00"}}, Data: []byte{0, 0xff, 0xfe, '"', 0xc3},
		},
		"nothing but a subject": {Subject: "s", Data: []byte{}},
		"a large body":          sized("", "large", 1<<20).Message,
	}
	for name, m := range messages {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openAt(t, dir)
			want := Entry{Message: m, Order: "visit-1", Stored: stored, Attempts: 3}
			put(t, s, want)
			closed(t, s)
			got := all(t, openAt(t, dir))
			if len(got) != 1 || !reflect.DeepEqual(got[0].Entry, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestRemove_IsGoneAfterReopening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, dir)
	put(t, s, entry("a", "1"), entry("a", "2"), entry("b", "3"))
	remove(t, s, all(t, s)[0].Sequence, 999)
	closed(t, s)
	s = openAt(t, dir)
	if got := ids(all(t, s)); !slices.Equal(got, []string{"2", "3"}) {
		t.Errorf("after reopening: %v", got)
	}
	if st := s.Stats(); st.Entries != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestOpen_SequencesRiseAcrossRestartsOfAnEmptySpool(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var last uint64
	for i, bytes := range []int{10, wal.Bytes, 10, 10} {
		s := openAt(t, dir)
		put(t, s, sized("a", fmt.Sprint(i), bytes))
		got := all(t, s)
		if len(got) != 1 || got[0].Sequence <= last {
			t.Fatalf("sequence %d after %d", got[0].Sequence, last)
		}
		last = got[0].Sequence
		remove(t, s, last)
		closed(t, s)
	}
}

func TestRoom_FullAtTheBoundAndFreeAfterRemove(t *testing.T) {
	t.Parallel()
	size := int64(len(wal.Encode(Entry{Stored: time.Now(), Order: "a", Message: entry("a", "1").Message})))
	s := openWith(t, Config{Dir: t.TempDir(), MaxBytes: 3 * size})
	put(t, s, entry("a", "1"), entry("a", "2"), entry("a", "3"))
	if st := s.Stats(); st.Full != 1 || st.Bytes != 3*size {
		t.Errorf("stats %+v, want full", st)
	}
	if err := s.Put(t.Context(), entry("b", "4")); !errors.Is(err, ErrFull) {
		t.Errorf("put into a full spool: %v", err)
	}
	if s.Waiting(visit.RootEvent, "b") {
		t.Error("what was refused is waiting")
	}
	remove(t, s, all(t, s)[1].Sequence)
	put(t, s, entry("b", "4"))
	if got := ids(all(t, s)); !slices.Equal(got, []string{"1", "3", "4"}) {
		t.Errorf("stored %v", got)
	}
}

func TestFailed_AttemptsSurviveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, dir)
	put(t, s, entry("a", "1"), entry("b", "2"))
	sequence := all(t, s)[1].Sequence
	for want := 1; want <= 3; want++ {
		if n, err := s.Failed(t.Context(), sequence); err != nil || n != want {
			t.Fatalf("attempt %d: %d, %v", want, n, err)
		}
	}
	if n, err := s.Failed(t.Context(), 999); n != 0 || err != nil {
		t.Errorf("attempt of nothing: %d, %v", n, err)
	}
	for range 2 {
		if got := nextOfEach(t, s, 9); got[0].Attempts != 0 || got[1].Attempts != 3 {
			t.Errorf("attempts %d and %d", got[0].Attempts, got[1].Attempts)
		}
		closed(t, s)
		s = openAt(t, dir)
	}
}

func TestStats_AgeIsReportedAndDropsNothing(t *testing.T) {
	t.Parallel()
	s := openWith(t, Config{Dir: t.TempDir(), MaxBytes: 1 << 20, MaxAge: time.Hour})
	old := entry("a", "1")
	old.Stored = time.Now().Add(-2 * time.Hour)
	put(t, s, old, entry("a", "2"))
	st := s.Stats()
	if st.Expired != 1 || !st.Oldest.Equal(old.Stored) || st.Entries != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestClose_EveryCallAfterItSaysSo(t *testing.T) {
	t.Parallel()
	s := openAt(t, t.TempDir())
	put(t, s, entry("a", "1"))
	closed(t, s)
	closed(t, s)
	ctx := context.Background()
	_, nextErr := s.NextOfEach(1)
	_, failedErr := s.Failed(ctx, 1)
	for name, err := range map[string]error{
		"Put": s.Put(ctx, entry("a", "2")), "Remove": s.Remove(ctx, 1), "Failed": failedErr,
		"NextOfEach": nextErr, "Each": s.Each(func(Item) error { return nil }),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}

func TestEach_MayChangeTheSpool(t *testing.T) {
	t.Parallel()
	s := openAt(t, t.TempDir())
	put(t, s, entry("a", "1"), entry("a", "2"), entry("a", "3"))
	err := s.Each(func(i Item) error {
		put(t, s, sized("b", "new", 1<<20)) // large enough to map the file anew
		remove(t, s, i.Sequence, 2)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(all(t, s)); !slices.Equal(got, []string{"new", "new"}) {
		t.Errorf("left: %v", got)
	}
}

func TestOpenExisting_MakesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := OpenExisting(dir, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
	s := openAt(t, dir)
	put(t, s, entry("a", "1"))
	if _, err := OpenExisting(dir, nil); !errors.Is(err, ErrInUse) {
		t.Errorf("beside another: %v", err)
	}
	closed(t, s)
	left, err := OpenExisting(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(all(t, left)); !slices.Equal(got, []string{"1"}) {
		t.Errorf("left behind: %v", got)
	}
	remove(t, left, 1)
	closed(t, left)
	if left, err = OpenExisting(dir, nil); err != nil || left.Stats().Entries > 0 {
		t.Fatalf("once it is empty: %v", err)
	}
	closed(t, left)
	content, err := os.ReadFile(newest(dir))
	if must(t, err); used(content) > headerBytes {
		t.Errorf("%d bytes are left", used(content))
	}
}

// Where there never was a spool and none can be made, the directory is a slip.
func TestOpen_WhereNothingCanBeMadeIsAnError(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"no bound":              {Dir: t.TempDir()},
		"where nothing is made": {Dir: "/proc/self/spool", MaxBytes: 1},
	} {
		if s, err := Open(cfg); err == nil {
			s.Close()
			t.Errorf("%s was opened", name)
		}
	}
}

// A large spool is not held in memory, and comes back as it was put.
func TestMemory_ALargeSpoolIsNotHeld(t *testing.T) {
	s := openAt(t, t.TempDir())
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	const entries, size = 160, 500_000
	for i := range entries {
		e := sized("a", fmt.Sprint(i), size)
		for at := range e.Message.Data {
			e.Message.Data[at] = byte(i)
		}
		put(t, s, e)
	}
	if held := heap() - before; held > 4<<20 {
		t.Errorf("of a spool of %d KB %d KB are in memory", entries*size>>10, held>>10)
	}
	for i, item := range all(t, s) {
		if want := bytes.Repeat([]byte{byte(i)}, size); !bytes.Equal(item.Message.Data, want) {
			t.Fatalf("entry %d is another", i)
		}
	}
}

// One entry in each segment that cannot be sent does not keep the room of the others.
func TestRoom_IsBoundedWhereSomeEntriesStay(t *testing.T) {
	t.Parallel()
	const segment = 64 << 10
	s := openWith(t, Config{Dir: t.TempDir(), MaxBytes: 1 << 30, segment: segment})
	var stay []string
	for i := range 1000 {
		put(t, s, sized("sent", fmt.Sprint("sent-", i), 3000))
		if i%20 == 0 {
			stay = append(stay, fmt.Sprint("stays-", i))
			put(t, s, entry("stays", stay[len(stay)-1]))
		}
		for _, i := range nextOfEach(t, s, 9) {
			if i.Order == "sent" {
				remove(t, s, i.Sequence)
			}
		}
		st := s.Stats()
		if st.FileBytes > 2*st.Bytes+(spareSegments+1)*segment {
			t.Fatalf("%d bytes wait, %d are taken up", st.Bytes, st.FileBytes)
		}
	}
	if got := ids(all(t, s)); !slices.Equal(got, stay) {
		t.Errorf("waiting: %v", got)
	}
}
