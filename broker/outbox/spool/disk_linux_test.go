package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/disk"
	"github.com/sine-relay/sine-relay/visit"
)

func init() {
	children["limited"] = fillLimited
	children["tmpfs"] = fillTmpfs
	children["scattered"] = emptyTmpfs
	children["shared"] = shareTmpfs
}

// fillLimited has files that may not grow beyond a limit, which any user may set, and
// lifts it.
func fillLimited(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		return err
	}
	limit := func(bytes uint64) error {
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: was.Max})
	}
	if err := limit(2 << 20); err != nil {
		return err
	}
	ctx := context.Background()
	s, err := Open(Config{Dir: dir, MaxBytes: 1 << 30, window: time.Nanosecond})
	if err != nil {
		return err
	}
	stored := map[string]bool{}
	for n := range 200 { // which are more than fit into one file
		id := fmt.Sprint("id-", n)
		if err := s.Put(ctx, sized("a", id, 20_000)); err != nil {
			return fmt.Errorf("into smaller files: %w", err)
		}
		stored[id] = true
	}
	if err := limit(16 << 10); err != nil {
		return err
	}
	var refused error
	for n := 0; refused == nil && n < 1000; n++ {
		refused = s.Put(ctx, sized("a", "refused", 20_000))
	}
	if !errors.Is(refused, ErrDiskFull) || s.Fault() != nil {
		return fmt.Errorf("beyond the limit: %w, fault %w", refused, s.Fault())
	}
	if err := s.Put(ctx, entry("b", "small")); err != nil {
		return fmt.Errorf("within the limit: %w", err)
	}
	stored["small"] = true
	if err := s.Remove(ctx, 10); err == nil { // which lies beyond
		return errors.New("it is removed")
	}
	delete(stored, "id-9")
	if err := errors.Join(same(s, stored), limit(was.Cur), s.Put(ctx, sized("a", "after", 20_000))); err != nil {
		return err
	}
	stored["after"] = true
	return sameAfterReopening(s, dir, stored)
}

// fillTmpfs runs out of room on a small file system in a mount namespace of its
// own, and makes it larger.
func fillTmpfs(dir string) error {
	if err := mountSmall(dir, "size=3m"); err != nil {
		fmt.Println("no right to mount, a limit on files instead:", err)
		return fillLimited(dir)
	}
	return fill(dir, syscall.ENOSPC, func() error {
		return syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=8m")
	})
}

func mountSmall(dir, size string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, size)
}

// shareTmpfs has another process fill the disk, and free it again.
func shareTmpfs(dir string) error {
	const largest = 800_000
	if err := mountSmall(dir, "size=6m"); err != nil {
		fmt.Println("no right to mount:", err)
		return nil
	}
	s, err := Open(Config{Dir: dir, MaxBytes: 1 << 30, window: time.Nanosecond})
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, other := context.Background(), filepath.Join(dir, "other")
	for n := range 3 {
		if err := s.Put(ctx, entry("a", fmt.Sprint("before-", n))); err != nil {
			return err
		}
		roomy := func(d Space) bool { return d.Size == 6<<20 && d.Free > 3<<20 && d.Left >= d.Free && s.Full() < 0.5 }
		if err := errors.Join(untilDisk(s, roomy), s.Probe(ctx, largest)); err != nil {
			return fmt.Errorf("with room: %w", err)
		}
		if err := os.WriteFile(other, make([]byte, 6<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("fill the disk: %w", err)
		}
		for i := 0; err == nil; i++ {
			err = s.Put(ctx, sized("a", "refused", 20_000))
		}
		if !errors.Is(err, ErrDiskFull) || !errors.Is(err, ErrFull) {
			return fmt.Errorf("a put without room: %w", err)
		}
		if err := untilDisk(s, func(d Space) bool { return d.Free < 1<<20 && d.Left < largest && s.Full() > 0.8 }); err != nil {
			return fmt.Errorf("without room: %w", err)
		}
		if probe := s.Probe(ctx, largest); !errors.Is(probe, ErrDiskFull) {
			return fmt.Errorf("a probe without room: %w", probe)
		}
		if err = os.Remove(other); err != nil {
			return err
		}
	}
	return nil
}

// untilDisk waits until the disk is as it should be.
func untilDisk(s *Spool, is func(Space) bool) error {
	for deadline := time.Now().Add(time.Minute); !is(s.Space()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("the disk is %+v, and the spool %.2f full", s.Space(), s.Full())
		}
	}
	return nil
}

// emptyTmpfs fills a small file system with small entries, and then removes them
// as a drain does: many at once, from all over the file. On a disk without any
// room each needs more than is left.
func emptyTmpfs(dir string) error {
	if err := mountSmall(dir, "size=3m"); err != nil {
		fmt.Println("no right to mount:", err)
		return nil
	}
	s, err := Open(Config{Dir: dir, MaxBytes: 1 << 30, window: time.Nanosecond})
	if err != nil {
		return err
	}
	for range 2 {
		if err := fillAndEmpty(s); err != nil {
			return err
		}
	}
	return s.Close()
}

func fillAndEmpty(s *Spool) error {
	ctx := context.Background()
	var err error
	for n := 0; err == nil; n++ {
		err = s.Put(ctx, sized(fmt.Sprint("order-", n%50), fmt.Sprint(n), 300+n%7*200))
	}
	if !disk.IsFull(err) && !errors.Is(err, ErrFull) {
		return err
	}
	for s.Stats().Entries > 0 {
		runs, err := s.Runs(visit.RootEvent, 32, 1024)
		if err != nil {
			return err
		}
		var gone []uint64
		for i, run := range runs {
			for _, item := range run[:len(run)-min(i%2, len(run)-1)] {
				gone = append(gone, item.Sequence)
			}
		}
		if err := s.Remove(ctx, gone...); err != nil {
			return fmt.Errorf("with %d left: %w", s.Stats().Entries, err)
		}
	}
	return nil
}

// fill puts until there is no room, drains some of it, has room made, and
// audits. cause is what the refusal must wrap, where it is known.
func fill(dir string, cause error, makeRoom func() error) error {
	ctx := context.Background()
	s, err := Open(Config{Dir: dir, MaxBytes: 1 << 30, window: time.Nanosecond})
	if err != nil {
		return err
	}
	stored := map[string]bool{}
	next := 0
	putOne := func() error {
		id := fmt.Sprint("id-", next)
		next++
		err := s.Put(ctx, sized("a", id, 20_000))
		if err == nil {
			stored[id] = true
		}
		return err
	}
	for err == nil {
		err = putOne()
	}
	if !errors.Is(err, ErrDiskFull) || errors.Is(err, ErrDamaged) || !errors.Is(err, cause) {
		return fmt.Errorf("on a full disk: %w", err)
	}
	fmt.Println("full after", len(stored), ":", err)
	// A segment has left once all that was in it is removed.
	for s.Put(ctx, sized("a", fmt.Sprint("id-", next), 20_000)) != nil {
		items, err := s.NextOfEach(1)
		if err != nil {
			return err
		}
		if err := s.Remove(ctx, items[0].Sequence); err != nil {
			return fmt.Errorf("on a full disk: %w", err)
		}
		delete(stored, items[0].Message.ID)
	}
	stored[fmt.Sprint("id-", next)] = true
	next++
	for err = nil; err == nil; {
		err = putOne()
	}
	if err := removeBesidePut(s, stored); err != nil {
		return err
	}
	if err := makeRoom(); err != nil {
		return err
	}
	for range 100 {
		if err := putOne(); err != nil {
			return fmt.Errorf("with room again: %w", err)
		}
	}
	return sameAfterReopening(s, dir, stored)
}

func sameAfterReopening(s *Spool, dir string, stored map[string]bool) (err error) {
	for range 2 {
		if err := same(s, stored); err != nil {
			return err
		}
		if err := s.Close(); err != nil {
			return err
		}
		if s, err = OpenExisting(dir, nil); err != nil {
			return err
		}
	}
	return s.Close()
}

// removeBesidePut has a removal share its commit with a put that finds no room.
func removeBesidePut(s *Spool, stored map[string]bool) error {
	ctx := context.Background()
	items, err := s.NextOfEach(1)
	if err != nil {
		return err
	}
	begun, goOn := hold(s)
	first, large, removed := make(chan error), make(chan error), make(chan error)
	go func() { first <- s.Remove(ctx) }()
	<-begun
	go func() { large <- s.Put(ctx, sized("large", "large", 16<<20)) }()
	for !s.Waiting(visit.RootEvent, "large") {
		runtime.Gosched()
	}
	// The queue is cut at the size of a batch, so the removal goes first.
	s.mu.Lock()
	put := s.waiting[0]
	s.waiting = nil
	s.mu.Unlock()
	go func() { removed <- s.Remove(ctx, items[0].Sequence) }()
	for !putBehind(s, put) {
		runtime.Gosched()
	}
	close(goOn)
	if err := <-large; err == nil {
		return errors.New("a put of 16 MiB found room")
	}
	delete(stored, items[0].Message.ID)
	return errors.Join(<-first, <-removed)
}

// putBehind adds a put behind a removal once that is there.
func putBehind(s *Spool, put *operation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return false
	}
	s.waiting = append(s.waiting, put)
	return true
}

func same(s *Spool, stored map[string]bool) error {
	n := 0
	err := s.Each(func(i Item) error {
		n++
		if !stored[i.Message.ID] {
			return fmt.Errorf("%s was refused and is there", i.Message.ID)
		}
		return nil
	})
	if err == nil && n != len(stored) {
		err = fmt.Errorf("%d of %d are there", n, len(stored))
	}
	return err
}

func TestDisk_AFileThatMayNotGrow(t *testing.T) {
	t.Parallel()
	out, err := command(t, "limited", t.TempDir()).Output()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// inNamespace gives a child the right to mount where the system lets it.
func inNamespace(c *exec.Cmd) *exec.Cmd {
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	return c
}

// TestDisk_IsFull needs the right to mount within a namespace. Where that is
// missing it makes do with the limit on files.
func TestDisk_IsFull(t *testing.T) {
	t.Parallel()
	c := inNamespace(command(t, "tmpfs", t.TempDir()))
	out, err := c.Output()
	if errors.Is(err, syscall.EPERM) {
		t.Log("no right to a namespace, a limit on files instead")
		out, err = command(t, "limited", t.TempDir()).Output()
	}
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

func TestDisk_AFullOneIsEmptied(t *testing.T) {
	t.Parallel()
	out, err := inNamespace(command(t, "scattered", t.TempDir())).Output()
	t.Logf("%s", out)
	if err != nil && !errors.Is(err, syscall.EPERM) {
		t.Fatal(err)
	}
}

func TestDisk_AnotherProcessFillsIt(t *testing.T) {
	t.Parallel()
	out, err := inNamespace(command(t, "shared", t.TempDir())).Output()
	t.Logf("%s", out)
	if err != nil && !errors.Is(err, syscall.EPERM) {
		t.Fatal(err)
	}
}
