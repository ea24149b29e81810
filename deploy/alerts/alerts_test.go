package alerts

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

const runbooks = "../runbooks/"

// rule is one of the file of alerts.
type rule struct {
	Alert, Record, Expr string
	Labels, Annotations map[string]string
}

func readRules(t *testing.T) (all []rule) {
	t.Helper()
	content, err := os.ReadFile("sine-relay.yaml")
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

// Every alert says what is the matter, how bad it is, and where to read on; and
// every page that somebody may be sent to is there, and none beside them.
func TestAlerts_EachHasARunbook(t *testing.T) {
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
func TestAlerts_EachHasATestCase(t *testing.T) {
	var cases strings.Builder
	files, err := filepath.Glob("../../.ci/lib/alerts/*.go")
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
		if r.Alert != "" && !strings.Contains(name, "BudgetBurns") && !strings.Contains(cases.String(), `"`+name+`"`) && !strings.Contains(cases.String(), `"`+r.Alert+`"`) {
			t.Errorf("no case fires %s", r.Alert)
		}
	}
}

// A number in a text is made whole, or a time, before somebody reads it: increase()
// makes 2.911 of three calls, and humanize 1.234k of 1,234 messages.
func TestAlerts_TextsShowWholeNumbers(t *testing.T) {
	value := regexp.MustCompile(`\{\{[^}]*\$value[^}]*\}\}`)
	whole := regexp.MustCompile(`printf "%\.[01]f"( \$value)? \}\}$|humanizeDuration \}\}$|^\{\{ if gt \$value 0\.0 \}\}$`)
	found := 0
	for _, r := range readRules(t) {
		for _, text := range r.Annotations {
			for _, action := range value.FindAllString(text, -1) {
				found++
				if !whole.MatchString(action) {
					t.Errorf("%s shows %s", r.Alert, action)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no text shows a number")
	}
}

var byIntegration = regexp.MustCompile(`^\w+ by \(namespace, job, integration\b`)

// What is a relay's own names the relay, and what is an integration's names its site.
func TestAlerts_NameTheSiteOrTheRelay(t *testing.T) {
	for _, r := range readRules(t) {
		if r.Alert == "" {
			continue
		}
		if byIntegration.MatchString(r.Expr) && !strings.Contains(r.Labels["site"], "sine_relay_integration_info") {
			t.Errorf("%s does not name the site", r.Alert)
		}
		if strings.Contains(r.Expr, "pod, instance") && !strings.Contains(r.Annotations["description"], "$labels.instance") {
			t.Errorf("%s does not say which relay", r.Alert)
		}
	}
}

// An inhibition that names an alert wrongly inhibits nothing.
func TestInhibitions_NameExistingAlerts(t *testing.T) {
	content, err := os.ReadFile("alertmanager.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Inhibit []struct {
			Source []string `yaml:"source_matchers"`
			Target []string `yaml:"target_matchers"`
			Equal  []string
		} `yaml:"inhibit_rules"`
	}
	if err := yaml.Load(content, &config); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"SineRelay.+": true} // all of them
	for _, r := range readRules(t) {
		known[r.Alert] = true
	}
	names := regexp.MustCompile(`^alertname!?=~?"(.+)"$`)
	for n, rule := range config.Inhibit {
		for _, m := range slices.Concat(rule.Source, rule.Target) {
			if name := names.FindStringSubmatch(m); name != nil {
				for _, alert := range strings.Split(name[1], "|") {
					if !known[alert] {
						t.Errorf("inhibition %d: there is no alert %s", n+1, alert)
					}
				}
			}
		}
		if !slices.Contains(rule.Equal, "namespace") || !slices.Contains(rule.Equal, "job") {
			t.Errorf("inhibition %d crosses installations", n+1)
		}
	}
	if len(config.Inhibit) == 0 {
		t.Error("there are no inhibitions")
	}
}
