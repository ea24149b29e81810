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

	bolt "go.etcd.io/bbolt"
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
		s, err := Open(Config{Dir: dir, MaxBytes: 1 << 30, gather: time.Nanosecond})
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
	s := openAt(t, dir)
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
	content, err := os.ReadFile(file(dir))
	if err != nil {
		t.Fatal(err)
	}
	return content, want
}

func lay(t *testing.T, dir string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file(dir), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// audit has a child open every damaged file, and then looks for each as it was:
// in its place when it was fit after all, else aside.
func audit(t *testing.T, root string, damaged map[string][]byte) {
	t.Helper()
	for name, content := range damaged {
		lay(t, filepath.Join(root, name), content)
	}
	if out, err := command(t, "audit", root).Output(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for name, content := range damaged {
		aside, _ := filepath.Glob(filepath.Join(root, name, "spool.db.damaged-*"))
		if len(aside) == 0 {
			continue
		}
		if got, err := os.ReadFile(aside[0]); err != nil || len(aside) > 1 || !bytes.Equal(got, content) {
			t.Errorf("%s: moved aside to %v: %v", name, aside, err)
		}
	}
}

func asides(t *testing.T, root string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, "*", "spool.db.damaged-*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func TestRecover_AFileCutAnywhere(t *testing.T) {
	content, _ := someSpool(t, 60)
	used := len(bytes.TrimRight(content, "\x00")) // what follows is room to grow
	damaged := map[string][]byte{}
	for _, length := range []int{0, 1, 15, 80, 4095, 4096, 4097, 8191, 8192, 12288, 16384, used - 4096, used - 1} {
		damaged[fmt.Sprint("cut at ", length)] = content[:length]
	}
	for page := range used / pageSize {
		if page%5 == 0 {
			damaged[fmt.Sprint("cut after page ", page)] = content[:page*pageSize]
		}
	}
	root := t.TempDir()
	audit(t, root, damaged)
	if n := asides(t, root); n != len(damaged) {
		t.Errorf("%d of %d cut files were noticed", n, len(damaged))
	}
}

func TestRecover_AFileOverwrittenAnywhere(t *testing.T) {
	content, _ := someSpool(t, 60)
	used := len(bytes.TrimRight(content, "\x00"))
	random := rand.New(rand.NewPCG(1, 2))
	damaged := map[string][]byte{}
	for page := range used/pageSize + 1 {
		for kind, fill := range map[string]func(b []byte){
			"zeroed": func(b []byte) { clear(b) },
			"random": func(b []byte) {
				for i := range b {
					b[i] = byte(random.Uint32())
				}
			},
			"another's": func(b []byte) { copy(b, content[random.IntN(used/pageSize)*pageSize:][:pageSize]) },
		} {
			c := slices.Clone(content)
			fill(c[page*pageSize : (page+1)*pageSize])
			damaged[fmt.Sprint(kind, " page ", page)] = c
		}
		// Single bytes of the head and of the elements are what misleads.
		for range 4 {
			c := slices.Clone(content)
			at := page*pageSize + random.IntN(128)
			c[at] ^= byte(1 + random.IntN(255))
			damaged[fmt.Sprint("byte ", at)] = c
		}
	}
	root := t.TempDir()
	audit(t, root, damaged)
	if n := asides(t, root); n < len(damaged)/4 {
		t.Errorf("only %d of %d overwritten files were noticed", n, len(damaged))
	}
}

func TestRecover_ForeignFiles(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other.db")
	db, err := bolt.Open(other, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("somebody's"))
		if err != nil {
			return err
		}
		return b.Put([]byte("k"), []byte("v"))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	damaged := map[string][]byte{
		"empty": {}, "text": []byte("not a spool"), "zeros": make([]byte, 1<<16),
		"another's bbolt file": foreign, "long text": bytes.Repeat([]byte("not a spool\n"), 9999),
	}
	audit(t, root, damaged)
	if n := asides(t, root); n != len(damaged) {
		t.Errorf("%d of %d foreign files were noticed", n, len(damaged))
	}
}

func TestRecover_ADirectoryInPlaceOfTheFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(file(dir), "kept"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, dir)
	put(t, s, entry("a", "1"))
	if _, err := os.Stat(filepath.Join(s.Damaged().Path, "kept")); err != nil {
		t.Error(err)
	}
}

// TestRecover_WhatIsReadableIsRescued damages one page at a time: what was on other
// pages must come back in its order, also when the page led to them.
func TestRecover_WhatIsReadableIsRescued(t *testing.T) {
	content, want := someSpool(t, 60)
	for page := range len(bytes.TrimRight(content, "\x00"))/pageSize + 1 {
		c := slices.Clone(content)
		copy(c[page*pageSize:], bytes.Repeat([]byte{0xaa}, pageSize))
		dir := t.TempDir()
		lay(t, dir, c)
		s := openAt(t, dir)
		got, d := all(t, s), s.Damaged()
		if d == nil && !slices.Equal(ids(got), want) {
			t.Errorf("page %d: holds other entries, unnoticed", page)
		}
		if d != nil && d.Rescued != len(got) {
			t.Errorf("page %d: %d entries, %+v", page, len(got), d)
		}
		if lost := missing(want, ids(got)); lost > 15 {
			t.Errorf("page %d: %d of %d are lost", page, lost, len(want))
		}
		if !slices.IsSortedFunc(got, func(a, b Item) int { return int(a.Sequence) - int(b.Sequence) }) {
			t.Errorf("page %d: out of order", page)
		}
		closed(t, s)
	}
}

// A file that is cut loses the pages that lead to the others first.
func TestRecover_WhatIsLeftOfACutFileIsRescued(t *testing.T) {
	content, want := someSpool(t, 60)
	used := len(bytes.TrimRight(content, "\x00"))
	dir := t.TempDir()
	lay(t, dir, content[:used*3/4])
	legible := 0
	for _, id := range want {
		if bytes.Contains(content[:used*3/4], []byte(id)) {
			legible++
		}
	}
	got := ids(all(t, openAt(t, dir)))
	if found := len(want) - missing(want, got); found < legible*8/10 || legible < len(want)/2 {
		t.Errorf("%d of %d that are legible are back", found, legible)
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

func TestRecover_ACrashBetweenTheRenames(t *testing.T) {
	content, want := someSpool(t, 20)
	dir := t.TempDir()
	lay(t, dir, content)
	if err := os.Rename(file(dir), draft(dir)); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, dir)
	if got := ids(all(t, s)); !slices.Equal(got, want) || s.Damaged() != nil {
		t.Errorf("got %v, want %v, damage %v", got, want, s.Damaged())
	}
}

// What is done to the content of a file that is open must not end the process, which
// serves the door. The file is opened anew, with what can be read of it.
func TestRecover_AFileSpoiltWhileItIsOpen(t *testing.T) {
	other, err := os.ReadFile(otherFile(t))
	must(t, err)
	for name, spoil := range map[string]func(path string) error{
		"it is cut":                 func(path string) error { return os.Truncate(path, 2*pageSize) },
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
			must(t, spoil(file(dir)))
			for range 4 { // readers must get over it, too
				go s.Heads(9)
			}
			eventually(t, "something is put", func() bool { return s.Put(t.Context(), entry("a", "new")) == nil })
			eventually(t, "it is read", func() bool { _, err := s.Heads(9); return err == nil })
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
