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
	relayfields "github.com/sine-relay/sine-relay/relay/fields"
)

var update = flag.Bool("update", false, "rewrite the tables of the documentation")

// The tables of the documentation are made from the program. A stale one fails here.
func TestDocs_TheTablesAreTheProgramsOwn(t *testing.T) {
	t.Parallel()
	checkTable(t, "docs/settings.md", "settings", config.Docs())
	families := exposed(t)
	checkTable(t, "docs/metrics.md", "metrics", metricsTable(families))
	checkTable(t, "docs/metrics.md", "labels", labelsTable(t, families))
	checkTable(t, "docs/deciding.md", "conditions", condition.Docs())
	checkTable(t, "docs/fields.md", "fields", relayfields.Docs())
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

// exposed is what running relays expose of their own.
func exposed(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	server := natstest.Start(t)
	file := filepath.Join(t.TempDir(), "integrations.yaml")
	if err := os.WriteFile(file, []byte("defaults: {deciders: [{name: default}, {name: next, shadow: true}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := runServe(t, "NATS_URL="+server.URL(), "SPOOL_DIR="+t.TempDir(), "INTEGRATIONS_FILE="+file).ready()
	p.must(200, "eventId", webhook("signin_after", noon, "Ada"))
	p.rename()
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
	maps.DeleteFunc(families, func(name string, _ *dto.MetricFamily) bool { return !strings.HasPrefix(name, "sine_relay_") })
	return families
}

func metricsTable(families map[string]*dto.MetricFamily) string {
	var b strings.Builder
	b.WriteString("| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(families)) {
		f := families[name]
		var quoted []string
		for _, label := range labelsOf(f) {
			quoted = append(quoted, "`"+label+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(f.GetType().String()), strings.Join(quoted, " "), f.GetHelp())
	}
	return b.String()
}

// labelWords are what a label of a metric may be called, and what it says. One idea has
// one word.
var labelWords = map[string]string{
	"agreement":   "whether a shadow decider agrees with the response",
	"api_key":     "an API key, by its name in the file of keys, or by its digest",
	"certificate": "which certificate",
	"code":        "HTTP status code",
	"connection":  "which of the relay's connections to NATS",
	"decider":     "a decider, by its name in the configuration",
	"field":       "a field of Sine's bodies by its name in the configuration, or one of a stream's configuration",
	"go_version":  "version of Go",
	"integration": "an integration, by its name in the configuration; `unknown` where a call names none of them",
	"kind":        "which of Sine's three calls it is: `check_in_request`, `checked_in` or `checked_out`; `unknown` where that cannot be read",
	"listener":    "`public` or `admin`",
	"method":      "HTTP method",
	"reason":      "why it ended so",
	"result":      "how it ended",
	"route":       "which of the webhook's paths",
	"site":        "a site, by its name in the configuration",
	"state":       "what is wrong with an entry",
	"stream":      "a stream, by its name",
	"type":        "`lockdown` or `override`",
	"version":     "version of Sine Relay",
}

// labelsTable lists the labels, and refuses what is not one of them.
func labelsTable(t *testing.T, families map[string]*dto.MetricFamily) string {
	t.Helper()
	used := map[string]bool{}
	for name, f := range families {
		for _, label := range labelsOf(f) {
			used[label] = true
			if labelWords[label] == "" {
				t.Errorf("%s has the label %q: take one of %v, which mean the same in every metric, or add it to labelWords here with its meaning", name, label, slices.Sorted(maps.Keys(labelWords)))
			}
		}
	}
	var b strings.Builder
	b.WriteString("| Label | Meaning |\n|---|---|\n")
	for _, label := range slices.Sorted(maps.Keys(labelWords)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", label, labelWords[label])
		if !used[label] {
			t.Errorf("no metric has the label %q: take it out of labelWords here", label)
		}
	}
	return b.String()
}

func labelsOf(f *dto.MetricFamily) []string {
	names := map[string]bool{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			names[l.GetName()] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
