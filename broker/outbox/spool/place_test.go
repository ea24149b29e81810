package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sine-relay/sine-relay/broker/outbox/disk"
	"github.com/sine-relay/sine-relay/internal/wait"
)

// afterACrash returns the ids that a relay would find that starts now.
func afterACrash(t *testing.T, dir string) []string {
	t.Helper()
	copied := t.TempDir()
	for _, path := range segmentsIn(dir) {
		if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		content, err := os.ReadFile(path)
		if !errors.Is(err, fs.ErrNotExist) {
			must(t, err, os.WriteFile(filepath.Join(copied, filepath.Base(path)), content, 0o600))
		}
	}
	s := openAt(t, copied)
	defer s.Close()
	return ids(all(t, s))
}

var eventually = wait.Until

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// mishaps are what happens to the files of a spool with the entries 1, 2 and 3
// while it is open. other is the file of another spool with the entries x, y.
var mishaps = []struct {
	name string
	do   func(dir, other string) error
	with []string // what is there beside
}{
	{"the file is removed", func(dir, _ string) error { return os.Remove(newest(dir)) }, nil},
	{"the file is renamed", func(dir, _ string) error { return os.Rename(newest(dir), newest(dir)+".away") }, nil},
	{"the lock is removed", func(dir, _ string) error { return os.Remove(filepath.Join(dir, disk.LockName)) }, nil},
	{"the directory is removed", func(dir, _ string) error {
		return errors.Join(os.Rename(dir, dir+".gone"), os.RemoveAll(dir+".gone")) // at once
	}, nil},
	{"the directory is renamed", func(dir, _ string) error { return os.Rename(dir, dir+".away") }, nil},
	{"the file is replaced by another spool's", func(dir, other string) error { return os.Rename(other, newest(dir)) }, []string{"x", "y"}},
	{"the file is replaced by something else", func(dir, other string) error {
		return errors.Join(os.WriteFile(other, []byte("not a spool"), 0o600), os.Rename(other, newest(dir)))
	}, nil},
	{"the file is replaced by a copy of itself", func(dir, other string) error {
		content, err := os.ReadFile(newest(dir))
		return errors.Join(err, os.WriteFile(other, content, 0o600), os.Rename(other, newest(dir)))
	}, nil},
	{"a directory is in place of the file", func(dir, _ string) error {
		err := fs.ErrExist
		for errors.Is(err, fs.ErrExist) { // the spool may be faster
			err = errors.Join(os.Remove(newest(dir)), os.Mkdir(newest(dir), 0o700))
		}
		return err
	}, nil},
}

// otherFile is of a spool whose sequences are in use in any other.
func otherFile(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s := openAt(t, dir)
	put(t, s, entry("a", "x"), entry("b", "y"))
	if _, err := s.Failed(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	return newest(dir)
}

func TestPut_WhatIsAcknowledgedIsAtThePath(t *testing.T) {
	t.Parallel()
	for _, m := range mishaps {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "spool")
			s := openAt(t, dir)
			put(t, s, entry("a", "1"), entry("a", "2"), entry("b", "3"))
			if _, err := s.Failed(t.Context(), 3); err != nil {
				t.Fatal(err)
			}
			must(t, m.do(dir, otherFile(t)))
			put(t, s, entry("a", "4"))
			want := slices.Sorted(slices.Values(append([]string{"1", "2", "3", "4"}, m.with...)))
			for where, got := range map[string][]string{"here": ids(all(t, s)), "after a crash": afterACrash(t, dir)} {
				if slices.Sort(got); !slices.Equal(got, want) {
					t.Errorf("%s: %v, want %v", where, got, want)
				}
			}
			if _, err := Open(Config{Dir: dir, MaxBytes: 1}); !errors.Is(err, ErrInUse) {
				t.Errorf("a second one opens it: %v", err)
			}
			// What is on its way at that time keeps its sequence.
			remove(t, s, 1, 2)
			items := all(t, s)
			if items[0].Message.ID != "3" || items[0].Attempts != 1 || len(items) != len(want)-2 {
				t.Errorf("after removing: %+v", items)
			}
			for _, i := range items {
				if i.Message.ID == "y" && i.Attempts != 1 {
					t.Errorf("y was tried %d times", i.Attempts)
				}
			}
			if st := s.Stats(); st.Entries != len(want)-2 || s.Found() != len(m.with) {
				t.Errorf("stats %+v, %d found", st, s.Found())
			}
		})
	}
}

// What waits is saved also while nothing is put.
func TestRecover_AnIdleSpoolIsSaved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, dir)
	put(t, s, entry("a", "1"))
	must(t, os.Remove(newest(dir)))
	eventually(t, "the file is at its path", func() bool { return slices.Equal(afterACrash(t, dir), []string{"1"}) })
}

func TestPut_AFileRemovedDuringACommit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, dir)
	put(t, s, entry("a", "1"))
	var once sync.Once
	s.holdCommit = func() { once.Do(func() { must(t, os.Remove(newest(dir))) }) }
	put(t, s, entry("a", "2"))
	if got := afterACrash(t, dir); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("after a crash: %v", got)
	}
}

func TestClose_SavesWhatWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, dir)
	put(t, s, entry("a", "1"))
	must(t, os.Remove(newest(dir)))
	closed(t, s)
	if got := afterACrash(t, dir); !slices.Equal(got, []string{"1"}) {
		t.Errorf("after closing: %v", got)
	}
}

// Nothing is acknowledged that would not be found. What waits can be sent, and
// all is well once the directory is.
func TestDisk_ADirectoryThatCannotBeUsedForAWhile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "spool")
	s := openAt(t, dir)
	put(t, s, entry("a", "1"), entry("a", "2"))
	must(t, os.Rename(dir, dir+".away"), os.WriteFile(dir, nil, 0o600))
	for range 2 {
		if err := s.Put(t.Context(), entry("a", "refused")); !errors.Is(err, ErrUnusable) {
			t.Errorf("Put: %v", err)
		}
	}
	if fault := s.Fault(); !errors.Is(fault, ErrUnusable) {
		t.Errorf("fault: %v", fault)
	}
	remove(t, s, nextOfEach(t, s, 1)[0].Sequence)
	must(t, os.Remove(dir), os.Rename(dir+".away", dir))
	eventually(t, "it can be used again", func() bool { return s.Fault() == nil })
	put(t, s, entry("a", "3"))
	if got := afterACrash(t, dir); !slices.Equal(got, []string{"2", "3"}) {
		t.Errorf("after a crash: %v", got)
	}
}

// Two relays never share a directory, whatever happens to its files.
func TestLock_ADirectoryThatAnotherHasTaken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, dir)
	put(t, s, entry("a", "1"))
	begun, goOn := hold(s) // or it would be faster
	removed := make(chan error)
	go func() { removed <- s.Remove(t.Context()) }()
	<-begun
	must(t, os.Remove(newest(dir)), os.Remove(filepath.Join(dir, disk.LockName)))
	other := openAt(t, dir)
	close(goOn)
	must(t, <-removed)
	put(t, other, entry("a", "theirs"))
	if err := s.Put(t.Context(), entry("a", "2")); !errors.Is(err, ErrUnusable) || !errors.Is(err, ErrInUse) {
		t.Errorf("Put: %v", err)
	}
	if got := ids(all(t, s)); !slices.Equal(got, []string{"1"}) {
		t.Errorf("waiting: %v", got)
	}
	closed(t, other)
	eventually(t, "it can be used again", func() bool { return s.Fault() == nil })
	if got := afterACrash(t, dir); !slices.Contains(got, "1") || !slices.Contains(got, "theirs") || len(got) != 2 {
		t.Errorf("after a crash: %v", got)
	}
}

// Without its lock a file that is in use is neither read nor renamed.
func TestLock_ARemovedOneLetsNobodyIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, dir)
	for range 20 {
		os.Remove(filepath.Join(dir, disk.LockName))
		if second, err := Open(Config{Dir: dir, MaxBytes: 1 << 30}); !errors.Is(err, ErrInUse) {
			t.Fatalf("opened: %v, %v", second, err)
		}
		put(t, s, entry("a", "1"))
	}
	if damaged := damagedIn(dir); len(damaged) > 0 {
		t.Errorf("there is %v", damaged)
	}
}

func TestRecover_FilesThatAreRemovedUnderLoad(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "spool")
	s := openAt(t, dir)
	var stop atomic.Bool
	var senders sync.WaitGroup
	var mu sync.Mutex
	var acknowledged []string
	for sender := range 8 {
		senders.Go(func() {
			for n := 0; !stop.Load(); n++ {
				id := fmt.Sprintf("%d-%d", sender, n)
				if err := s.Put(t.Context(), entry(fmt.Sprint(sender), id)); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, id)
				mu.Unlock()
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(acknowledged) }
	for i := range 12 {
		at := count()
		switch i % 3 {
		case 0:
			os.Remove(newest(dir))
		case 1:
			os.Remove(filepath.Join(dir, disk.LockName))
		default:
			os.Rename(dir, fmt.Sprint(dir, i))
		}
		eventually(t, "it goes on", func() bool { return count() > at+100 || t.Failed() })
	}
	stop.Store(true)
	senders.Wait()
	want, got := acknowledged, afterACrash(t, dir)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d are found, %d were acknowledged, %d are missing", len(got), len(want), missing(want, got))
	}
}

// What cannot be looked at is not absent: it opens by itself once it can be.
func TestOpen_ASpoolThatCannotBeOpenedYet(t *testing.T) {
	t.Parallel()
	spoilt := map[string]func(dir string) (mend func() error, err error){
		"a file is in place of the directory": func(dir string) (func() error, error) {
			mend := func() error { return errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)) }
			return mend, errors.Join(os.Rename(dir, dir+".away"), os.WriteFile(dir, nil, 0o600))
		},
		"the directory is a loop of links": func(dir string) (func() error, error) {
			mend := func() error { return errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)) }
			return mend, errors.Join(os.Rename(dir, dir+".away"), os.Symlink(dir, dir))
		},
		"the file is a loop of links": func(dir string) (func() error, error) {
			mend := func() error { return errors.Join(os.Remove(newest(dir)), os.Rename(newest(dir)+".away", newest(dir))) }
			return mend, errors.Join(os.Rename(newest(dir), newest(dir)+".away"), os.Symlink(newest(dir), newest(dir)))
		},
		"the lock is a directory": func(dir string) (func() error, error) {
			lock := filepath.Join(dir, disk.LockName)
			return func() error { return os.Remove(lock) }, errors.Join(os.Remove(lock), os.Mkdir(lock, 0o700))
		},
	}
	for name, spoil := range spoilt {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "spool")
			s := openAt(t, dir)
			put(t, s, entry("a", "1"), entry("b", "2"))
			closed(t, s)
			mend, err := spoil(dir)
			must(t, err)
			s = openAt(t, dir)
			if !errors.Is(s.Fault(), ErrUnusable) {
				t.Errorf("fault: %v", s.Fault())
			}
			if err := s.Put(t.Context(), entry("a", "refused")); !errors.Is(err, ErrUnusable) {
				t.Errorf("Put: %v", err)
			}
			must(t, mend())
			eventually(t, "it opens", func() bool { return s.Fault() == nil })
			put(t, s, entry("a", "3"))
			if got := ids(all(t, s)); !slices.Equal(got, []string{"1", "2", "3"}) || s.Found() != 2 {
				t.Errorf("waiting: %v, of which %d were found", got, s.Found())
			}
		})
	}
}

// A directory that another process has is left alone, also by the end of this one.
func TestClose_WritesNothingIntoADirectoryThatAnotherHas(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "spool")
	s := openAt(t, dir)
	put(t, s, entry("a", "1"))
	must(t, os.Rename(dir, dir+".away"))
	other := openAt(t, dir)
	put(t, other, entry("a", "theirs"))
	had := segmentsIn(dir)
	remove(t, s, 1)
	closed(t, s)
	if got := segmentsIn(dir); !slices.Equal(got, had) {
		t.Errorf("there are %v, and were %v", got, had)
	}
	if got := ids(all(t, other)); !slices.Equal(got, []string{"theirs"}) {
		t.Errorf("theirs: %v", got)
	}
}
