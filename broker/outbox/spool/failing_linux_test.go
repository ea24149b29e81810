package spool

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/disk"
	"github.com/sine-relay/sine-relay/visit"
)

func init() { children["unpermitted"] = awaitPermission }

// failingDisk is a directory whose disk cannot be written while it fails.
type failingDisk struct {
	disk.Disk
	fails  atomic.Bool
	full   atomic.Bool  // for new files
	mounts atomic.Int64 // what was opened before the last of them cannot be read any more
}

type failingFile struct {
	disk.File
	disk  *failingDisk
	mount int64
}

// failingAt is a spool on such a disk.
func failingAt(t *testing.T, dir string) (*Spool, *failingDisk) {
	d := &failingDisk{Disk: disk.In(dir)}
	return openWith(t, Config{Dir: dir, MaxBytes: 1 << 30, disk: d}), d
}

func (d *failingDisk) failure() error {
	if d.fails.Load() {
		return syscall.EIO
	}
	return nil
}

func (d *failingDisk) wrap(f disk.File, err error) (disk.File, error) {
	if err != nil {
		return nil, err
	}
	return failingFile{f, d, d.mounts.Load()}, nil
}

func (d *failingDisk) Create(name string, size int64) (disk.File, error) {
	if err := d.failure(); err != nil {
		return nil, err
	}
	if d.full.Load() {
		return nil, syscall.ENOSPC
	}
	return d.wrap(d.Disk.Create(name, size))
}

func (d *failingDisk) Open(name string) (disk.File, error) { return d.wrap(d.Disk.Open(name)) }
func (d *failingDisk) Rename(from, to string) error {
	return cmp.Or(d.failure(), d.Disk.Rename(from, to))
}
func (d *failingDisk) Remove(name string) error { return cmp.Or(d.failure(), d.Disk.Remove(name)) }

func (d *failingDisk) Check(name string, f disk.File) (int64, error) {
	return d.Disk.Check(name, f.(failingFile).File)
}

func (f failingFile) ReadAt(b []byte, at int64) (int, error) {
	if f.mount < f.disk.mounts.Load() {
		return 0, syscall.EIO
	}
	return f.File.ReadAt(b, at)
}

func (f failingFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.disk.failure(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, at)
}

func (f failingFile) Sync() error { return cmp.Or(f.disk.failure(), f.File.Sync()) }

// A disk fails in the middle of a write, time and again, while messages come and
// go. What was acknowledged is there, and nothing else; but what was written when its
// sync failed may be found after a crash.
func TestDisk_FailsForAWhile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, disk := failingAt(t, dir)
	put(t, s, entry("first", "first"))
	l := &putAndRemove{t: t, spool: s, acknowledged: map[string]bool{"first": true}, removing: map[string]bool{}}
	for sender := range 4 {
		l.all.Go(func() { l.put(sender) })
	}
	l.all.Go(l.remove)
	for range 5 {
		disk.fails.Store(true)
		at := l.refused.Load()
		eventually(t, "puts are refused", func() bool { return l.refused.Load() > at+20 })
		disk.fails.Store(false)
		done := l.count()
		eventually(t, "puts are taken again", func() bool { return l.count() > done+50 })
	}
	l.stop.Store(true)
	l.all.Wait()
	l.audit("here", ids(all(t, s)), false)
	l.audit("after a crash", afterACrash(t, dir), true)
	if s.Damaged() != nil || s.Fault() != nil {
		t.Errorf("damage %v, fault %v", s.Damaged(), s.Fault())
	}
}

// putAndRemove is what goes on while a disk fails.
type putAndRemove struct {
	t       *testing.T
	spool   *Spool
	all     sync.WaitGroup
	stop    atomic.Bool
	refused atomic.Int64

	mu                     sync.Mutex
	acknowledged, removing map[string]bool
}

func (l *putAndRemove) count() int { l.mu.Lock(); defer l.mu.Unlock(); return len(l.acknowledged) }

func (l *putAndRemove) put(sender int) {
	for n := 0; !l.stop.Load(); n++ {
		id := fmt.Sprintf("%d-%d", sender, n)
		if l.spool.Put(context.Background(), sized(fmt.Sprint(sender), id, n%9*700)) != nil {
			l.refused.Add(1)
			continue
		}
		l.mu.Lock()
		l.acknowledged[id] = true
		l.mu.Unlock()
	}
}

func (l *putAndRemove) remove() {
	for !l.stop.Load() {
		runs, err := l.spool.Runs(visit.RootEvent, 4, 8)
		if err != nil {
			l.t.Error(err)
			return
		}
		for _, run := range runs {
			l.mu.Lock()
			l.removing[run[0].Message.ID] = true
			l.mu.Unlock()
			_ = l.spool.Remove(context.Background(), run[0].Sequence) // or it is removed later
		}
	}
}

func (l *putAndRemove) audit(where string, got []string, unsynced bool) {
	l.t.Helper()
	there := map[string]int{}
	for _, id := range got {
		there[id]++
		if there[id] > 1 || !l.acknowledged[id] && !unsynced {
			l.t.Errorf("%s: %s is there %d times, acknowledged: %v", where, id, there[id], l.acknowledged[id])
		}
	}
	for id := range l.acknowledged {
		if there[id] == 0 && !l.removing[id] {
			l.t.Errorf("%s: %s was acknowledged and is missing, of %d", where, id, len(slices.Collect(maps.Keys(there))))
		}
	}
}

// What waits on a full disk can be sent after a restart, be it damaged or not. What is
// damaged is recovered once there is room.
func TestOpen_AFullDisk(t *testing.T) {
	t.Parallel()
	content, want := someSpool(t, 20)
	for name, damage := range map[string]func(b []byte){
		"all is well":             func([]byte) {},
		"the segment is damaged":  func(b []byte) { clear(b[8:100]) },
		"nothing of it is usable": func(b []byte) { clear(b) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c := slices.Clone(content)
			damage(c)
			lay(t, dir, c)
			d := &failingDisk{Disk: disk.In(dir)}
			d.full.Store(true)
			s := openWith(t, Config{Dir: dir, MaxBytes: 1 << 30, disk: d})
			got := ids(all(t, s))
			if len(got) != len(want) && used(c) > 0 {
				t.Errorf("offered: %v, want %v", got, want)
			}
			if err := s.Put(t.Context(), entry("a", "new")); err == nil || s.Damaged() != nil {
				t.Errorf("put: %v, damage %v", err, s.Damaged())
			}
			d.full.Store(false)
			eventually(t, "puts are taken", func() bool { return s.Put(t.Context(), entry("a", "new")) == nil })
			if after := ids(all(t, s)); !slices.Equal(after, append(got, "new")) || (s.Damaged() != nil) != (name != "all is well") {
				t.Errorf("with room: %v, damage %+v", after, s.Damaged())
			}
			if damage := s.Damaged(); damage != nil && (damage.Rescued != len(got) || damage.Lost > 0) {
				t.Errorf("damage: %+v", damage)
			}
		})
	}
}

// A disk that has failed comes back as another one, with the same content.
func TestDisk_ComesBackAsAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, disk := failingAt(t, dir)
	put(t, s, entry("a", "1"), entry("a", "2"), entry("b", "3"))
	remove(t, s, 1)
	disk.fails.Store(true)
	if err := s.Remove(t.Context(), 2); err == nil {
		t.Error("it is removed")
	}
	content, err := os.ReadFile(newest(dir))
	must(t, err, os.WriteFile(newest(dir)+".copy", content, 0o600))
	disk.mounts.Add(1)
	must(t, os.Rename(newest(dir)+".copy", newest(dir)))
	disk.fails.Store(false)
	eventually(t, "puts are taken", func() bool { return s.Put(t.Context(), entry("b", "4")) == nil })
	if got := ids(all(t, s)); !slices.Equal(got, []string{"3", "4"}) || s.Damaged() != nil {
		t.Errorf("%v, damage %+v", got, s.Damaged())
	}
	eventually(t, "2 is removed", func() bool { return slices.Equal(afterACrash(t, dir), []string{"3", "4"}) })
}

// What was sent keeps back nothing else on a disk that cannot be written any more,
// and is removed as soon as that can be.
func TestRemove_WhatCannotBeRemovedIsNotOfferedAgain(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(dir string) error{
		"the disk is well again":        func(string) error { return nil },
		"the file is replaced, as well": func(dir string) error { return os.Remove(newest(dir)) },
		"the lock is replaced, as well": func(dir string) error { return os.Remove(filepath.Join(dir, disk.LockName)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, disk := failingAt(t, dir)
			put(t, s, entry("a", "1"), entry("a", "2"), entry("b", "3"))
			disk.fails.Store(true)
			if err := s.Remove(t.Context(), 1); err == nil {
				t.Error("it is removed")
			}
			if got := ids(nextOfEach(t, s, 9)); !slices.Equal(got, []string{"2", "3"}) {
				t.Errorf("offered: %v", got)
			}
			if n, _ := s.Usage(); n != 2 {
				t.Errorf("%d wait", n)
			}
			if got := afterACrash(t, dir); len(got) != 3 {
				t.Errorf("after a crash: %v", got)
			}
			disk.fails.Store(false)
			must(t, meanwhile(dir))
			eventually(t, "it is removed", func() bool { return slices.Equal(afterACrash(t, dir), []string{"2", "3"}) })
			if got := ids(nextOfEach(t, s, 9)); !slices.Equal(got, []string{"2", "3"}) {
				t.Errorf("offered: %v", got)
			}
			closed(t, s)
		})
	}
}

// awaitPermission opens a spool that it may not read yet.
func awaitPermission(dir string) error {
	s, err := Open(Config{Dir: dir, MaxBytes: 1 << 20})
	if err != nil {
		return fmt.Errorf("it does not open: %w", err)
	}
	defer s.Close()
	ctx := context.Background()
	if put := s.Put(ctx, entry("a", "refused")); !errors.Is(s.Fault(), fs.ErrPermission) || !errors.Is(put, ErrUnusable) {
		return fmt.Errorf("fault %w, put %w", s.Fault(), put)
	}
	fmt.Println("not permitted")
	io.Copy(io.Discard, os.Stdin)
	for deadline := time.Now().Add(time.Minute); s.Fault() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return s.Fault()
		}
	}
	var got []string
	err = errors.Join(s.Put(ctx, entry("a", "2")), s.Each(func(i Item) error { got = append(got, i.Message.ID); return nil }))
	if !slices.Equal(got, []string{"1", "2"}) {
		err = errors.Join(err, fmt.Errorf("waiting: %v", got))
	}
	return err
}

// A directory that is not permitted is no absent one. Root is permitted everything,
// and becomes another user for it.
func TestOpen_ADirectoryThatIsNotPermittedYet(t *testing.T) {
	t.Parallel()
	open, err := os.MkdirTemp("", "spool-") // t.TempDir is closed to others
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(open) })
	dir := filepath.Join(open, "spool")
	s := openAt(t, dir)
	put(t, s, entry("a", "1"))
	closed(t, s)
	c := command(t, "unpermitted", dir)
	if os.Getuid() == 0 {
		const nobody = 65534
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}}
		c.Path = "/proc/self/exe" // which is below a directory that is closed, too
		must(t, os.Chmod(open, 0o755), filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Chown(path, nobody, nobody))
		}))
	}
	must(t, os.Chmod(dir, 0))
	in, err := c.StdinPipe()
	must(t, err)
	out, err := c.StdoutPipe()
	must(t, err, c.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, os.Chmod(dir, 0o700), in.Close(), err, c.Wait())
	if !strings.Contains(line, "not permitted") {
		t.Error(line)
	}
}
