//go:build linux

package faults

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A full disk refuses what it cannot hold, keeps what it could, and is of use
// again once NATS has taken that.
func TestADiskThatIsFull(t *testing.T) {
	t.Parallel()
	const name = "the spool's disk is full"
	if !mayMount() {
		t.Log("no right to mount here: only the test of files that may not grow tells what a full disk does")
		return
	}
	fillUp(t, name, layout{role: roleSmallDisk}, func(*rig) {}, func(*rig) {})
}

// Where the file itself may not grow, nothing can be removed either, and all is
// well again once there is room.
func TestAFileThatMayNotGrow(t *testing.T) {
	t.Parallel()
	const name = "the spool's file may not grow"
	limit := func(bytes uint64) func(*rig) {
		return func(r *rig) { r.report(limitFiles(r.relays[0].process.cmd.Process.Pid, bytes)) }
	}
	fillUp(t, name, layout{role: roleBoundedFiles}, limit(2<<20), limit(1<<62))
}

func fillUp(t *testing.T, name string, l layout, narrow, widen func(*rig)) {
	t.Helper()
	r := newRig(t, l)
	narrow(r)
	v := r.play(1, func() {
		n := r.nodes[0]
		n.process.kill()
		r.report(await("there is no room", func() bool { return r.load.turnedAway.Load() > 20 }))
		r.report(n.start())
		widen(r)
	})
	closing.add(name, v)
	r.demand(v)
	if v.refused == 0 {
		t.Error("nothing was refused")
	}
}

// A directory that never was a spool and cannot become one is a slip that shows
// at the start.
func TestADirectoryThatCannotBecomeASpool(t *testing.T) {
	t.Parallel()
	r := newRig(t, layout{})
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
		for path, mode := range map[string]os.FileMode{r.spool: 0o500, filepath.Join(r.spool, "spool.db"): 0o400} {
			if err := os.Chmod(path, mode); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
}

func (r *relay) allowWriting(t *testing.T) {
	t.Helper()
	r.role = ""
	if err := errors.Join(os.Chmod(r.spool, 0o700), os.Chmod(filepath.Join(r.spool, "spool.db"), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// A relay whose spool cannot be written any more serves without it, and what is
// in it waits for a relay that can.
func TestASpoolThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	const name = "the spool cannot be written"
	r := newRig(t, layout{})
	one := r.relays[0]
	v := r.play(1, func() {
		n := r.nodes[0]
		n.process.kill()
		r.report(r.more(warmUp))
		one.kill()
		one.forbidWriting(t)
		one.number = 1 // for the order: it does not know what waits
		r.report(one.start(r.programs))
		r.report(await("calls are refused", func() bool { return r.load.turnedAway.Load() > 20 }))
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
