package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/internal/promtest"
	"github.com/sine-relay/sine-relay/relay/condition"
)

var update = flag.Bool("update", false, "rewrite the tables of the documentation")

// The tables of the documentation are made from the program. A stale one fails here.
func TestDocs_TheTablesAreTheProgramsOwn(t *testing.T) {
	t.Parallel()
	checkTable(t, "docs/settings.md", "settings", config.Docs())
	checkTable(t, "docs/metrics.md", "metrics", metricsTable(t))
	checkTable(t, "docs/deciding.md", "conditions", condition.Docs())
}

// checkTable compares what stands in a page between the marks of a table with what the
// table should be, and writes it there with -update.
func checkTable(t *testing.T, page, name, table string) {
	t.Helper()
	file := filepath.Join("../../../..", page)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := fmt.Appendf(nil, "<!-- %s: begin -->\n", name), fmt.Appendf(nil, "<!-- %s: end -->\n", name)
	head, rest, found := bytes.Cut(content, begin)
	_, tail, closed := bytes.Cut(rest, end)
	want := slices.Concat(head, begin, []byte(table), end, tail)
	switch {
	case !found || !closed:
		t.Errorf("%s has no marks for the table %s", page, name)
	case bytes.Equal(content, want):
	case !*update:
		t.Errorf("the table %s of %s is stale: go test ./cmd/sine-relay/internal/e2e -run Docs -update", name, page)
	default:
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// metricsTable lists what a running relay exposes of its own.
func metricsTable(t *testing.T) string {
	t.Helper()
	server := natstest.Start(t)
	file := filepath.Join(t.TempDir(), "integrations.yaml")
	if err := os.WriteFile(file, []byte("defaults: {deciders: [{name: default}, {name: next, shadow: true}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := runServe(t, "NATS_URL="+server.URL(), "SPOOL_DIR="+t.TempDir(), "INTEGRATIONS_FILE="+file).ready()
	p.must(200, "eventId", webhook("signin_after", noon, "Ada"))
	must(t, environment("NATS_URL="+server.URL(), "KEYS="+testKey), "in force", "lockdown", "--site", "default")
	var text string
	eventually(t, "every metric is there", func() bool {
		_, text = p.get("/metrics")
		return strings.Contains(text, "sine_relay_standing_order_in_force")
	})
	families := promtest.Parse(t, text)
	cert, key, _ := certificate(t)
	_, text = runServe(t, "NATS_URL="+server.URL(), "TLS_CERT_FILE="+cert, "TLS_KEY_FILE="+key).ready().get("/metrics")
	for name, f := range promtest.Parse(t, text) {
		if families[name] == nil {
			families[name] = f
		}
	}
	var b strings.Builder
	b.WriteString("| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if f := families[name]; strings.HasPrefix(name, "sine_relay_") {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(f.GetType().String()), labels(f), f.GetHelp())
		}
	}
	return b.String()
}

func labels(f *dto.MetricFamily) string {
	names := map[string]bool{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			names["`"+l.GetName()+"`"] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), " ")
}
