package e2e

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

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
func TestTheAlertsAskForWhatIsExposed(t *testing.T) {
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
