package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/promtest"
)

// exposition is what a relay exposes.
type exposition struct {
	labels   map[string][]string          // of each metric of its own
	families map[string]*dto.MetricFamily // every metric of a relay, with those of Go and the process
}

// expose runs a relay that has something of everything to show.
func expose(t *testing.T) exposition {
	t.Helper()
	e := exposition{labels: map[string][]string{}}
	for name, f := range exposed(t) {
		e.labels[name] = labelsOf(f)
	}
	server := natstest.Start(t)
	file := filepath.Join(t.TempDir(), "integrations.yaml")
	if err := os.WriteFile(file, []byte("defaults: {deciders: [{name: default}, {name: next, shadow: true}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := runServe(t, "NATS_URL="+server.URL(), "SPOOL_DIR="+t.TempDir(), "INTEGRATIONS_FILE="+file).ready()
	operator := environment("NATS_URL="+server.URL(), "KEYS="+testKey)
	must(t, operator, "in force", "lockdown", "--all-sites")
	must(t, operator, "in force", "override", "--site", "default", "--accept", "--for", "30m", "--reason", "a test")
	var text string
	eventually(t, "both orders are there", func() bool {
		_, text = p.get("/metrics")
		return strings.Count(text, "sine_relay_standing_order_in_force{") == 2
	})
	e.families = promtest.Parse(t, text)
	return e
}

func family(t *testing.T, text string) *dto.MetricFamily {
	t.Helper()
	for _, f := range promtest.Parse(t, text+"\n") {
		return f
	}
	t.Fatal("no metric")
	return nil
}
