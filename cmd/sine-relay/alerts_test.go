package main

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const runbooks = "../../deploy/runbooks/"

// rule is one of the file of alerts.
type rule struct {
	Alert, Record, Expr string
	Labels, Annotations map[string]string
}

func readRules(t *testing.T) (all []rule) {
	t.Helper()
	content, err := os.ReadFile("../../deploy/alerts/sine-relay.yaml")
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

var ownSeries = regexp.MustCompile(`\bsine_relay_\w+`)

// An alert on a metric, a label or a value that no relay exposes never fires.
func TestTheAlertsAskForWhatIsExposed(t *testing.T) {
	e := expose(t)
	for _, r := range readRules(t) {
		for _, series := range ownSeries.FindAllString(r.Expr, -1) {
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

// Every alert says what is the matter, how bad it is, and where to read on; and
// every page that somebody may be sent to is there, and none beside them.
func TestEveryAlertHasARunbook(t *testing.T) {
	pages := map[string]bool{}
	for _, r := range readRules(t) {
		if r.Alert == "" {
			continue
		}
		for _, annotation := range []string{"summary", "description", "runbook_url"} {
			if r.Annotations[annotation] == "" {
				t.Errorf("%s has no %s", r.Alert, annotation)
			}
		}
		if !slices.Contains([]string{"critical", "warning"}, r.Labels["severity"]) {
			t.Errorf("%s has the severity %q", r.Alert, r.Labels["severity"])
		}
		page := path.Base(r.Annotations["runbook_url"])
		pages[page] = true
		content, err := os.ReadFile(runbooks + page)
		if err != nil {
			t.Errorf("%s: %v", r.Alert, err)
			continue
		}
		for _, heading := range []string{"Meaning", "Impact", "Diagnosis", "Mitigation"} {
			if !strings.Contains(string(content), "\n## "+heading+"\n") {
				t.Errorf("%s has no heading %s", page, heading)
			}
		}
		if !strings.Contains(string(content), r.Alert) {
			t.Errorf("%s does not name %s, which leads there", page, r.Alert)
		}
	}
	files, err := filepath.Glob(runbooks + "*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !pages[filepath.Base(file)] {
			t.Errorf("no alert leads to %s", file)
		}
	}
}

// The cases of promtool fire each alert.
func TestEveryAlertHasACase(t *testing.T) {
	var cases strings.Builder
	files, err := filepath.Glob("../../deploy/alerts/cases/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cases.Write(content)
	}
	for _, r := range readRules(t) {
		name := strings.TrimPrefix(r.Alert, "SineRelay")
		if r.Alert != "" && !strings.Contains(name, "BudgetBurns") && !strings.Contains(cases.String(), `named("`+name+`"`) && !strings.Contains(cases.String(), `"`+r.Alert+`"`) {
			t.Errorf("no case fires %s", r.Alert)
		}
	}
}
