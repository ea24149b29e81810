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
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/sine-relay/sine-relay/broker/brokertest"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/relay/condition"
)

var update = flag.Bool("update", false, "rewrite the README's tables")

// The README's tables are made from the program. A stale one fails here.
func TestTheREADMEsTablesAreTheProgramsOwn(t *testing.T) {
	const file = "../../../../README.md"
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := content
	for name, table := range map[string]string{"settings": config.Docs(), "metrics": metricsTable(t), "conditions": condition.Docs()} {
		begin, end := fmt.Appendf(nil, "<!-- %s: begin -->\n", name), fmt.Appendf(nil, "<!-- %s: end -->\n", name)
		head, rest, found := bytes.Cut(want, begin)
		_, tail, closed := bytes.Cut(rest, end)
		if !found || !closed {
			t.Fatalf("README.md has no marks for the table %s", name)
		}
		want = slices.Concat(head, begin, []byte(table), end, tail)
	}
	if bytes.Equal(content, want) {
		return
	}
	if !*update {
		t.Fatal("a table of README.md is stale: go test ./cmd/sine-relay/internal/e2e -run README -update")
	}
	if err := os.WriteFile(file, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// metricsTable lists what a running relay exposes of its own.
func metricsTable(t *testing.T) string {
	t.Helper()
	server := brokertest.Start(t)
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
	families := parseMetrics(t, text)
	cert, key, _ := certificate(t)
	_, text = runServe(t, "NATS_URL="+server.URL(), "TLS_CERT_FILE="+cert, "TLS_KEY_FILE="+key).ready().get("/metrics")
	for name, f := range parseMetrics(t, text) {
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

func parseMetrics(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return families
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
