//go:build linux && faults

package faults

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A full disk refuses what it cannot hold, keeps what it could, and is of use
// again once NATS has taken that.
func TestDisk_FullOneIsUsedAgainOnceForwarded(t *testing.T) {
	t.Parallel()
	const name = "the spool's disk is full"
	if !mayMount() {
		t.Log("no right to mount here: only the test of files that may not grow tells what a full disk does")
		return
	}
	fillUp(t, name, layout{role: roleSmallDisk}, func(*fixture) {}, func(*fixture) {})
}

// Where no file may be made, and what is there only be written at its beginning,
// nothing can be removed either, and all is well again once there is room.
func TestDisk_SpoolRecoversAfterItsFileCouldNotGrow(t *testing.T) {
	t.Parallel()
	const name = "the spool's file may not grow"
	limit := func(bytes uint64) func(*fixture) {
		return func(r *fixture) { r.report(limitFiles(r.relays[0].process.cmd.Process.Pid, bytes)) }
	}
	fillUp(t, name, layout{role: roleBoundedFiles}, limit(1<<10), limit(1<<62))
}

func fillUp(t *testing.T, name string, l layout, narrow, widen func(*fixture)) {
	t.Helper()
	r := newFixture(t, l)
	narrow(r)
	v := r.run(1, func() {
		n := r.nodes[0]
		n.process.kill()
		r.report(await("there is no room", func() bool { return r.load.refused.Load() > 20 }))
		r.report(n.start())
		widen(r)
	})
	closing.add(name, v)
	r.demand(v)
	if v.refused == 0 {
		t.Error("nothing was refused")
	}
}

// Another process fills the disk of a spool. The relay takes what its newest segment
// has room for. From then on it says that the disk is full, for as long as that is so,
// and it uses the disk again without a restart.
func TestDisk_FilledByAnotherProgramIsReportedAndUsedAgain(t *testing.T) {
	t.Parallel()
	const name = "somebody else fills the spool's disk"
	if !mayMount() {
		t.Log("no right to mount here: the test of spool itself is all there is")
		return
	}
	r := newFixture(t, layout{role: roleLargerDisk})
	one := r.relays[0]
	other := filepath.Join(fmt.Sprintf("/proc/%d/root", one.process.cmd.Process.Pid), one.spool, "other")
	says := func(full int, state string) func() bool {
		return func() bool {
			m, err := one.read()
			return err == nil && m.spool("full") == full && m.spool("usable") == 1-full && m.spool("nearly_full") == full &&
				(m.spool("disk_free_bytes") < 700<<10) == (full == 1) && strings.HasPrefix(one.readiness(), state)
		}
	}
	v := r.run(1, func() {
		r.report(await("it is well", says(0, "ready")))
		if err := os.WriteFile(other, make([]byte, 16<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			r.report(fmt.Errorf("fill the disk: %w", err))
		}
		r.nodes[0].process.kill()
		for range 3 {
			from := r.load.refused.Load()
			r.report(await("calls are refused", func() bool { return r.load.refused.Load() > from+20 }))
			r.report(await("it says that the disk is full", says(1, "degraded")))
		}
		r.report(os.Remove(other))
		r.report(await("it is well again", says(0, "degraded: not connected to NATS")))
		spooled := func() int { m, _ := one.read(); return m.spool("spooled_total") }
		before := spooled()
		r.report(await("calls are spooled", func() bool { return spooled() > before+20 }))
		r.report(r.nodes[0].start())
	})
	closing.add(name, v)
	r.demand(v)
}

// A disk fails under load, with messages on it, and comes back: the relay was never
// ended, and uses it again.
func TestDisk_FailedOneIsUsedAgainWithoutARestart(t *testing.T) {
	t.Parallel()
	const name = "the spool's disk fails and comes back"
	if !mayBe(roleOwnDisk, t.TempDir()) {
		t.Log("no right to a disk of its own here: the tests of spool itself are all there is")
		return
	}
	r := newFixture(t, layout{role: roleOwnDisk})
	one := r.relays[0]
	pid := one.process.cmd.Process.Pid
	v := r.run(1, func() {
		r.nodes[0].process.kill()
		r.report(r.more(warmUp))
		for range 2 {
			r.report(diskFails(pid, one.spool))
			from := r.load.refused.Load()
			r.report(await("calls are refused", func() bool { return r.load.refused.Load() > from+20 }))
			if m, err := one.read(); err != nil || m.spool("usable") != 0 || m.spool("messages") == 0 {
				r.report(fmt.Errorf("usable %d, %d messages: %w", m.spool("usable"), m.spool("messages"), err))
			}
			r.report(mountAnew(pid, one.spool))
			r.report(r.more(warmUp))
		}
		// NATS is back while nothing that is sent can be removed.
		r.report(diskFails(pid, one.spool))
		r.report(r.nodes[0].start())
		r.report(await("it says that the disk fails", func() bool { return strings.Contains(one.readiness(), "spool") }))
		r.report(mountAnew(pid, one.spool))
		r.report(await("all that waited is sent", func() bool {
			m, err := one.read()
			return err == nil && m.spool("messages") == 0 && m.spool("usable") == 1
		}))
	})
	closing.add(name, v)
	r.demand(v)
}

// A directory that never was a spool and cannot become one is a slip that shows
// at the start.
func TestSpool_UnusableNewDirectoryFailsTheStart(t *testing.T) {
	t.Parallel()
	r := newFixture(t, layout{})
	one := newRelay(t, 1, r.relays[0].settings...)
	one.settings = append(one.settings, "SPOOL_DIR="+one.spool)
	one.forbidWriting(t)
	err := one.start(r.programs)
	if err == nil {
		t.Fatal("it starts")
	}
	<-one.process.ended
	if code := one.process.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(err.Error(), "SINE_RELAY_SPOOL_DIR") {
		t.Errorf("it ends with %d: %v", code, err)
	}
}

// forbidWriting has the next lives find a spool that can be read at best.
func (r *relay) forbidWriting(t *testing.T) {
	t.Helper()
	switch {
	case mayMount():
		r.role = roleReadOnlyDisk
	case os.Getuid() == 0:
		t.Fatal("root can write everywhere and may not mount here: run this as another user, or with the right to mount")
	default:
		for path, mode := range map[string]os.FileMode{r.spool: 0o500} {
			if err := os.Chmod(path, mode); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
}

func (r *relay) allowWriting(t *testing.T) {
	t.Helper()
	r.role = ""
	if err := os.Chmod(r.spool, 0o700); err != nil {
		t.Fatal(err)
	}
}

// A relay whose spool cannot be written any more serves without it, and what is
// in it waits for a relay that can.
func TestSpool_RelayServesWithoutAReadOnlyOne(t *testing.T) {
	t.Parallel()
	const name = "the spool cannot be written"
	r := newFixture(t, layout{})
	one := r.relays[0]
	v := r.run(1, func() {
		n := r.nodes[0]
		n.process.kill()
		r.report(r.more(warmUp))
		one.kill()
		one.forbidWriting(t)
		one.number = 1 // for the order: it does not know what waits
		r.report(one.start(r.programs))
		r.report(await("calls are refused", func() bool { return r.load.refused.Load() > 20 }))
		r.report(n.start())
		r.report(r.recovered(one))
		one.kill()
		one.allowWriting(t)
		one.number = 2
		r.report(one.start(r.programs))
	})
	closing.add(name, v)
	r.demand(v)
	if v.refused == 0 || v.spooled == 0 {
		t.Errorf("%d were refused and %d spooled", v.refused, v.spooled)
	}
}

// A NATS inside whose disk was full stores again once there is room, without a
// restart of the relay.
func TestEmbedded_FullStoreRecoversWithoutARestart(t *testing.T) {
	t.Parallel()
	const name = "the disk of the NATS inside is full, and free again"
	if !mayMount() {
		t.Log("no right to mount here, so that no disk can be full")
		return
	}
	r := newFixture(t, layout{embedded: true, role: roleSmallStore, settings: []string{"EVENT_STREAM_MAX_BYTES=16MiB", "DECISION_STREAM_MAX_BYTES=4MiB", "QUARANTINE_STREAM_MAX_BYTES=8MiB"}})
	v := r.run(1, func() { r.report(storeFull(r, seconds(2), 0)) })
	closing.add(name, v)
	r.demand(v)
	r.demandNoRefusals(v)
	if v.spooled == 0 {
		t.Error("the store was never full")
	}
}
