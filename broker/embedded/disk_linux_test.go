package embedded_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/sine-relay/sine-relay/broker/embedded"
)

// diskVariable makes this binary run one test alone, with a disk of its own. Its value
// is the kind of the disk, and after a colon a directory.
const diskVariable = "EMBEDDED_TEST_DISK"

// A disk can be filled and freed.
type disk struct{ fill, free func() error }

// disks are kinds of a full one.
var disks = map[string]func(dir string) (disk, error){
	"small":   smallDisk,
	"limited": limitedFiles,
}

// After a write that failed, a stream answers nothing and stores nothing for as long
// as the server runs, though the disk is free again.
func TestTrap_AStreamThatCouldNotWriteOnceNeverDoesAgain(t *testing.T) {
	if role := os.Getenv(diskVariable); role != "" {
		kind, dir, _ := strings.Cut(role, ":")
		d, err := disks[kind](dir)
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
			t.Log(forbidden)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		storesAgain(t, dir, d)
		return
	}
	t.Parallel()
	for kind := range disks {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestTrap_AStreamThatCouldNotWriteOnceNeverDoesAgain$")
			cmd.Env = append(os.Environ(), diskVariable+"="+kind+":"+t.TempDir())
			if kind == "small" {
				inNamespace(cmd)
			}
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil && kind == "small" {
				t.Logf("%s: %v", forbidden, err)
			} else if err := errors.Join(err, cmd.Wait()); err != nil {
				t.Errorf("%v\n%s", err, out.String())
			}
		})
	}
}

// forbidden: many containers do not permit it. The other kind of disk then tells what a
// full one does.
const forbidden = "no right to mount here"

func storesAgain(t *testing.T, dir string, d disk) {
	s := start(t, embedded.Config{StoreDir: dir + "/store"})
	js := visitors(t, s)
	body, stored := strings.Repeat("x", 100<<10), 0
	if err := publish(t, js, body); err != nil {
		t.Fatal(err)
	}
	stored++
	if err := d.fill(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if publish(t, js, body) != nil {
			break
		}
		stored++
	}
	eventually(t, "the server says that it stores nothing", func() bool { return s.StoreFault("VISITORS") != nil })
	// Deciders are connected all the while.
	if n := js.Conn().Statistics.Reconnects; n > 0 {
		t.Errorf("with a full disk it was started anew %d times", n)
	}
	if err := d.free(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server stores again", func() bool { return s.StoreFault("VISITORS") == nil })
	eventually(t, "a message is stored", func() bool { return publish(t, js, "after") == nil })
	stream, err := connect(t, s.ClientURL("admin")).Stream(t.Context(), "VISITORS")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n < uint64(stored)+1 {
		t.Errorf("%d messages of %d are left", n, stored+1)
	}
	last, err := stream.GetLastMsgForSubject(t.Context(), "visitors.v1.event.>")
	if err != nil || string(last.Data) != "after" {
		t.Errorf("the last is not the last: %v", err)
	}
}

func inNamespace(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
}

// smallDisk has 8 MiB, and is seen by this process only.
func smallDisk(dir string) (disk, error) {
	err := errors.Join(
		syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
		syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"),
	)
	filler := dir + "/filler"
	fill := func() error {
		f, err := os.Create(filler)
		if err != nil {
			return err
		}
		defer f.Close()
		written := 0
		for err == nil {
			var n int
			n, err = f.Write(make([]byte, 64<<10))
			written += n
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		return f.Truncate(int64(written - 256<<10))
	}
	return disk{fill, func() error { return os.Remove(filler) }}, err
}

// limitedFiles are files that may not grow, where nothing may be mounted.
func limitedFiles(string) (disk, error) {
	signal.Ignore(syscall.SIGXFSZ) // which comes with a write beyond the limit
	var unlimited syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &unlimited)
	limited := unlimited
	limited.Cur = 512 << 10
	set := func(limit *syscall.Rlimit) func() error {
		return func() error { return syscall.Setrlimit(syscall.RLIMIT_FSIZE, limit) }
	}
	return disk{set(&limited), set(&unlimited)}, err
}
