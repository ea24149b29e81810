//go:build linux && faults

package faults

import (
	"strings"
	"testing"
)

// A volume that a relay leaves behind, in whatever way it ended, is emptied by
// the command for it.
func TestASpoolThatIsLeftBehind(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*relay) error
	}{
		{"left behind by a relay that ended", (*relay).terminate},
		{"left behind by a relay that was killed", func(one *relay) error { one.kill(); return nil }},
	} {
		closing.announce(c.name)
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, layout{})
			one, n := r.relays[0], r.nodes[0]
			v := r.play(1, func() {
				n.process.kill()
				r.report(r.more(warmUp))
				r.report(c.end(one)) // while calls come
				r.load.stop()
				r.report(n.start())
				out, err := one.command(r.programs, "spool", "drain")
				r.report(err)
				if !strings.Contains(out, ", 0 wait.") {
					t.Errorf("spool drain: %s", out)
				}
			})
			closing.add(c.name, v)
			r.demand(v)
			r.demandNoRefusals(v)
			if v.spooled == 0 {
				t.Error("nothing was spooled")
			}
		})
	}
}
