package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"go.yaml.in/yaml/v4"

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
	p.rename()
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

// rename posts events of visitors who have a company, and then of some in whose bodies it
// has another name.
func (p *program) rename() {
	for n := range 50 {
		name := "company"
		if n >= 40 {
			name = "organisation_of_the_visitor"
		}
		p.must(200, "eventId", fmt.Sprintf(`{"event":"signin_after","date":"2026-11-18T21:42:31.%03dZ","data":{"id":"renamed-%[1]d","lastName":"Lovelace","%s":"Acme"}}`, n, name))
	}
}

func family(t *testing.T, text string) *dto.MetricFamily {
	t.Helper()
	for _, f := range promtest.Parse(t, text+"\n") {
		return f
	}
	t.Fatal("no metric")
	return nil
}

// rule is one of the file of alerts.
type rule struct {
	Alert, Record, Expr string
	Labels, Annotations map[string]string
}

func readRules(t *testing.T) (all []rule) {
	t.Helper()
	content, err := os.ReadFile("../../../../deploy/alerts/sine-relay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Load(content, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// everything is all of a rule that asks for series: its templates do, too.
func (r rule) everything() string {
	all := []string{r.Expr}
	for _, m := range []map[string]string{r.Labels, r.Annotations} {
		all = slices.AppendSeq(all, maps.Values(m))
	}
	return strings.Join(all, "\n")
}

var ownSeries = regexp.MustCompile(`\bsine_relay_\w+`)

// An alert on a metric, a label or a value that no relay exposes never fires.
func TestAlerts_QueryOnlyExposedMetrics(t *testing.T) {
	t.Parallel()
	e := expose(t)
	for _, r := range readRules(t) {
		for _, series := range ownSeries.FindAllString(r.everything(), -1) {
			if e.metric(series) == "" {
				t.Errorf("%s%s: %s is not exposed", r.Alert, r.Record, series)
			}
		}
		for _, s := range selector.FindAllStringSubmatch(r.Expr, -1) {
			for _, fault := range e.matches(s[1], s[2]) {
				t.Errorf("%s%s: %s", r.Alert, r.Record, fault)
			}
		}
	}
}

// matches returns what is wrong with the matchers of an alert.
func (e exposition) matches(name, matchers string) (faults []string) {
	own := e.metric(name)
	for _, m := range matcher.FindAllStringSubmatch(matchers, -1) {
		label, values := m[1], m[2]
		switch {
		case !e.has(name, label):
			faults = append(faults, name+" has no label "+label)
		case label == "le", slices.Contains(targetLabels, label):
		default:
			faults = append(faults, e.neverSeen(own, label, strings.Split(values, "|"))...)
		}
	}
	return faults
}
