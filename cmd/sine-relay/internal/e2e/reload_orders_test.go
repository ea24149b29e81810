package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

// The site of an entry that was broken from the start is not known. The orders of all
// others are followed all the same: without them no fallback lets anybody in.
func TestReload_ABrokenNewEntryLeavesTheOrdersKnown(t *testing.T) {
	nats, m := natstest.Start(t), &mounted{t: t, dir: t.TempDir()}
	const good = "integrations:\n- {name: lobby, site: hq}\n"
	m.write(map[string]string{"i.yaml": good})
	keys := &mounted{t: t, dir: t.TempDir()}
	keys.write(map[string]string{"lobby": testKey + "\n"})
	settings := []string{"NATS_URL=" + nats.URL(), "INTEGRATIONS_FILE=" + m.dir + "/i.yaml", "KEYS_DIR=" + keys.dir, "ORDERS_MAX_AGE=5s"}
	p := runServe(t, settings...).ready()
	m.write(map[string]string{"i.yaml": good + "- {name: shed, decider: \"not a name\"}\n"})
	eventually(t, "the broken entry is reported", func() bool {
		_, text := p.get("/readyz?verbose")
		return strings.Contains(text, "the integration shed has errors")
	})
	// They are known for longer than what was read before counts.
	begin := time.Now()
	eventually(t, "the orders stay known", func() bool {
		_, text := p.get("/readyz?verbose")
		if strings.Contains(text, "orders: unknown") {
			t.Fatal(text)
		}
		return time.Since(begin) > 6*time.Second
	})
	must(t, environment(settings...), "Obeyed by 1", "lockdown", "--site", "hq")
}
