package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/wal"
)

// openAndUse opens and uses the spool below each of the directories in dir. It
// runs as a process of its own, which a fault would end.
func openAndUse(dir string) error {
	dirs, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, d := range dirs {
		if err := useDamaged(filepath.Join(dir, d.Name())); err != nil {
			return fmt.Errorf("%s: %w", d.Name(), err)
		}
	}
	return nil
}

func useDamaged(dir string) error {
	if left, err := OpenExisting(dir, nil); err == nil {
		left.Close()
	} else if !errors.Is(err, ErrDamaged) {
		return fmt.Errorf("OpenExisting: %w", err)
	}
	for range 2 {
		s, err := Open(Config{Dir: dir, MaxBytes: 1 << 30, window: time.Nanosecond})
		if err != nil {
			return err
		}
		if err := s.Put(context.Background(), entry("new", "new")); err != nil {
			return err
		}
		var last uint64
		err = s.Each(func(i Item) error { last = i.Sequence; return nil })
		if err := errors.Join(err, s.Remove(context.Background(), last), s.Close()); err != nil {
			return err
		}
	}
	return nil
}

// someSpool returns a file with n entries of many sizes, some removed and some
// tried, and the ids in it.
func someSpool(t *testing.T, n int) (content []byte, want []string) {
	t.Helper()
	dir := t.TempDir()
	s := openWith(t, Config{Dir: dir, MaxBytes: 1 << 30, segment: 1 << 19})
	for i := range n {
		put(t, s, sized(fmt.Sprint(i%7), fmt.Sprint("id-", i), i*i%9000))
		if i%3 == 2 {
			remove(t, s, uint64(i-1))
		}
		if i%4 == 3 {
			if _, err := s.Failed(t.Context(), uint64(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	want = ids(all(t, s))
	closed(t, s)
	content, err := os.ReadFile(newest(dir))
	must(t, err)
	return content, want
}

// used is how many of a segment's bytes are not zero at its end.
func used(content []byte) int { return len(bytes.TrimRight(content, "\x00")) }

func lay(t *testing.T, dir string, content []byte) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, wal.Name(1)), content, 0o600))
}

// audit has a child open every damaged file, and then looks for each as it was: in
// its place when it was fit after all, else kept under another name. It returns how
// many those are.
func audit(t *testing.T, damaged map[string][]byte) (kept int) {
	t.Helper()
	root := t.TempDir()
	for name, content := range damaged {
		lay(t, filepath.Join(root, name), content)
	}
	if out, err := command(t, "audit", root).Output(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for name, content := range damaged {
		found := damagedIn(filepath.Join(root, name))
		if len(found) == 0 {
			continue
		}
		kept++
		if got, err := os.ReadFile(found[0]); err != nil || len(found) > 1 || !bytes.Equal(got, content) {
			t.Errorf("%s: kept as %v: %v", name, found, err)
		}
	}
	return kept
}

func TestRecover_AFileCutAnywhere(t *testing.T) {
	t.Parallel()
	content, _ := someSpool(t, 60)
	used := used(content)
	damaged := map[string][]byte{}
	for _, length := range []int{0, 1, 15, 80, 511, 512, 513, 4096, 8192, used - 4096, used - 1, used, used + 1, len(content) - 1} {
		damaged[fmt.Sprint("cut at ", length)] = content[:length]
	}
	for at := 0; at < used; at += 5 * 4096 {
		damaged[fmt.Sprint("cut after ", at)] = content[:at]
	}
	if n := audit(t, damaged); n != len(damaged) {
		t.Errorf("%d of %d cut files were noticed", n, len(damaged))
	}
}

func TestRecover_AFileOverwrittenAnywhere(t *testing.T) {
	t.Parallel()
	content, _ := someSpool(t, 60)
	random := rand.New(rand.NewPCG(1, 2))
	damaged := map[string][]byte{}
	pages := used(content)/4096 + 1
	for page := range pages {
		for kind, fill := range map[string]func(b []byte){
			"zeroed": func(b []byte) { clear(b) },
			"random": func(b []byte) {
				for i := range b {
					b[i] = byte(random.Uint32())
				}
			},
			"another's": func(b []byte) { copy(b, content[(page+1+random.IntN(pages-1))%pages*4096:][:4096]) },
		} {
			c := slices.Clone(content)
			fill(c[page*4096 : (page+1)*4096])
			damaged[fmt.Sprint(kind, " page ", page)] = c
		}
	}
	if n := audit(t, damaged); n != len(damaged) {
		t.Errorf("%d of %d overwritten files were noticed", n, len(damaged))
	}
}

// A single byte misleads in a header and in the head of a record.
func TestRecover_AByteThatIsAnother(t *testing.T) {
	t.Parallel()
	content, want := someSpool(t, 20)
	for at := range used(content) {
		for _, flip := range []byte{0x5a, byte(wal.Waiting ^ wal.Sent)} {
			c := slices.Clone(content)
			c[at] ^= flip
			found := wal.Scan(c)
			var got []string
			for _, r := range found.Records {
				if e, err := r.Entry(); err == nil && r.State != wal.Sent {
					got = append(got, e.Message.ID)
				}
			}
			if lost := missing(want, got); lost > 1 || lost == 1 && found.Damage == nil {
				t.Fatalf("byte %d: %d are lost, damage %v", at, lost, found.Damage)
			}
		}
	}
}

func TestRecover_ForeignFiles(t *testing.T) {
	t.Parallel()
	damaged := map[string][]byte{
		"empty": {}, "text": []byte("not a spool"), "zeros": make([]byte, 1<<16), "long text": bytes.Repeat([]byte("not a spool\n"), 9999),
		"a version that is not known": append([]byte("SINEspl\x02"), make([]byte, 4096)...),
	}
	if n := audit(t, damaged); n != len(damaged) {
		t.Errorf("%d of %d foreign files were noticed", n, len(damaged))
	}
}

func TestRecover_ADirectoryInPlaceOfTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(newest(dir), "kept"), 0o700))
	s := openAt(t, dir)
	put(t, s, entry("a", "1"))
	if _, err := os.Stat(filepath.Join(s.Damaged().Path, "kept")); err != nil {
		t.Error(err)
	}
}

// TestRecover_WhatIsReadableIsRescued damages one page at a time: what was on other
// pages must come back in its order.
func TestRecover_WhatIsReadableIsRescued(t *testing.T) {
	t.Parallel()
	content, want := someSpool(t, 60)
	for page := range used(content)/4096 + 1 {
		c := slices.Clone(content)
		copy(c[page*4096:], bytes.Repeat([]byte{0xaa}, 4096))
		dir := t.TempDir()
		lay(t, dir, c)
		s := openAt(t, dir)
		got, d := all(t, s), s.Damaged()
		if d == nil {
			t.Fatalf("page %d: unnoticed", page)
		}
		if d.Rescued != len(got) || d.Path == "" {
			t.Errorf("page %d: %d entries, %+v", page, len(got), d)
		}
		// Two entries that are cut, and those that are all within the page.
		if lost := missing(want, ids(got)); lost > 2+16 || page > 10 && lost > 4 {
			t.Errorf("page %d: %d of %d are lost", page, lost, len(want))
		}
		if !slices.IsSortedFunc(got, func(a, b Item) int { return int(a.Sequence) - int(b.Sequence) }) {
			t.Errorf("page %d: out of order", page)
		}
		closed(t, s)
		if again := openAt(t, dir); !slices.Equal(ids(all(t, again)), ids(got)) || again.Damaged() != nil {
			t.Errorf("page %d: at the next start %v, damage %v", page, ids(all(t, again)), again.Damaged())
		}
	}
}

func TestRecover_WhatIsLeftOfACutFileIsRescued(t *testing.T) {
	t.Parallel()
	content, want := someSpool(t, 60)
	left := content[:used(content)*3/4]
	dir := t.TempDir()
	lay(t, dir, left)
	legible := 0
	for _, id := range want {
		if bytes.Contains(left, []byte(id)) {
			legible++
		}
	}
	got := ids(all(t, openAt(t, dir)))
	if found := len(want) - missing(want, got); found < legible-2 || legible < len(want)/2 {
		t.Errorf("%d of %d that are legible are back", found, legible)
	}
}

// What was never acknowledged is not damage, and not reported.
func TestRecover_ATornTailIsCutInSilence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, dir)
	put(t, s, entry("a", "1"))
	whole, err := os.ReadFile(newest(dir))
	must(t, err)
	end := used(whole)
	put(t, s, sized("a", "2", 3000))
	torn, err := os.ReadFile(newest(dir))
	must(t, err)
	for at := end; at < used(torn); at += 100 {
		c := slices.Clone(torn)
		clear(c[at:])
		copied := t.TempDir()
		lay(t, copied, c)
		again := openAt(t, copied)
		if got := ids(all(t, again)); !slices.Equal(got, []string{"1"}) || again.Damaged() != nil {
			t.Fatalf("cut at %d: %v, damage %v", at, got, again.Damaged())
		}
		closed(t, again)
	}
}

func missing(want, got []string) (n int) {
	for _, id := range want {
		if !slices.Contains(got, id) {
			n++
		}
	}
	return n
}

// A crash between the copy and the renaming leaves both.
func TestRecover_ACrashBetweenCopyAndRename(t *testing.T) {
	t.Parallel()
	content, want := someSpool(t, 20)
	dir := t.TempDir()
	damaged := slices.Clone(content)
	clear(damaged[:headerBytes])
	lay(t, dir, damaged)
	s := openAt(t, dir)
	must(t, os.Rename(damagedIn(dir)[0], filepath.Join(dir, wal.Name(1))))
	remove(t, s, nextOfEach(t, s, 1)[0].Sequence)
	closed(t, s)
	s = openAt(t, dir)
	if got := ids(all(t, s)); !slices.Equal(got, want[1:]) {
		t.Errorf("got %v, want %v", got, want[1:])
	}
}

// What is done to the content of a file that is open must not end the process, which
// serves the door. The file is opened anew, with what can be read of it.
func TestRecover_AFileSpoiltWhileItIsOpen(t *testing.T) {
	t.Parallel()
	other, err := os.ReadFile(otherFile(t))
	must(t, err)
	for name, spoil := range map[string]func(path string) error{
		"it is cut":                 func(path string) error { return os.Truncate(path, 2*4096) },
		"it is emptied":             func(path string) error { return os.Truncate(path, 0) },
		"another is written to it":  func(path string) error { return os.WriteFile(path, other, 0o600) },
		"something is written over": func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("x"), 1<<20), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := openAt(t, dir)
			for i := range 50 {
				put(t, s, sized("a", fmt.Sprint(i), 3000))
			}
			must(t, spoil(newest(dir)))
			for range 4 { // readers must get over it, too
				go s.NextOfEach(9)
			}
			eventually(t, "something is put", func() bool { return s.Put(t.Context(), entry("a", "new")) == nil })
			eventually(t, "it is read", func() bool { _, err := s.NextOfEach(9); return err == nil })
			got := ids(all(t, s))
			if d := s.Damaged(); d == nil || d.Lost == 0 || !slices.Contains(got, "new") {
				t.Errorf("%d of 51 are there, damage %+v", len(got), d)
			}
			if after := afterACrash(t, dir); !slices.Equal(after, got) {
				t.Errorf("after a crash: %v, want %v", after, got)
			}
		})
	}
}
