package e2e

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// unused are the metrics that the dashboard does not ask for, and why not. It
// asks for all of them.
var unused = map[string]string{
	"sine_relay_integration_info": "alerts name the site by it",
}

// What the dashboard asks for is there, and what is there is asked for: a query
// about a metric, a label or a value that no relay exposes draws nothing, and
// looks like peace.
func TestTheDashboardAsksForWhatIsExposed(t *testing.T) {
	t.Parallel()
	e, file, used := expose(t), readDashboard(t), map[string]bool{}
	for _, v := range file.Templating.List {
		if m := labelValues.FindStringSubmatch(v.Definition); v.Type != "datasource" && (m == nil || m[2] != v.Name || !e.has(m[1], m[2])) {
			t.Errorf("variable %s comes from %s", v.Name, v.Definition)
		}
	}
	for _, q := range file.queries() {
		for _, fault := range e.faults(q) {
			t.Errorf("%s: %s\n\t%s", q.where, fault, q.expr)
		}
		for _, s := range selector.FindAllStringSubmatch(q.expr, -1) {
			used[e.metric(s[1])] = true
		}
	}
	for name := range e.labels {
		if why := unused[name]; !used[name] && why == "" {
			t.Errorf("no panel shows %s: draw it, or say in the list of the unused why not", name)
		}
	}
	for name := range unused {
		if _, exposed := e.labels[name]; !exposed || used[name] {
			t.Errorf("%s is listed as unused and is used, or is not exposed", name)
		}
	}
}

func TestWhatIsWrongWithAQueryIsFound(t *testing.T) {
	t.Parallel()
	const of = `namespace=~"$namespace",job=~"$job"`
	e := exposition{
		labels: map[string][]string{"sine_relay_decider_requests_total": {"integration", "result"}, "sine_relay_age_seconds": {}},
		families: map[string]*dto.MetricFamily{"sine_relay_decider_requests_total": family(t, `sine_relay_decider_requests_total{integration="hq",result="timeout"} 0`),
			"sine_relay_age_seconds": family(t, "# TYPE sine_relay_age_seconds histogram\nsine_relay_age_seconds_sum 0\nsine_relay_age_seconds_count 0")},
	}
	const rate = `sum by (result) (rate(sine_relay_decider_requests_total{` + of + `,integration=~"$integration",result=~"timeout"}[$__rate_interval])) > 0`
	for _, c := range []struct{ name, expr, legend, fault string }{
		{"nothing", rate, "{{result}}", ""},
		{"nothing, of a histogram", `histogram_quantile(0.9, sum by (le) (rate(sine_relay_age_seconds_bucket{` + of + `}[5m])))`, "", ""},
		{"a metric that is not exposed", strings.ReplaceAll(rate, "requests", "answers"), "", "sine_relay_decider_answers_total is not exposed"},
		{"a suffix that it does not have", strings.ReplaceAll(rate, "decider_requests_total", "decider_requests_total_sum"), "", "sine_relay_decider_requests_total_sum is not exposed"},
		{"a metric of every program", "sum(up)", "", "up is asked without matchers"},
		{"a metric of every relay", strings.ReplaceAll(rate, of+",", ""), "", "does not keep to the chosen namespace"},
		{"a metric of every integration", strings.ReplaceAll(rate, `integration=~"$integration",`, ""), "", "does not keep to the chosen integration"},
		{"a matcher for a label that it does not have", strings.ReplaceAll(rate, "result=~", "reason=~"), "", "sine_relay_decider_requests_total has no label reason"},
		{"a value that no relay gives", strings.ReplaceAll(rate, `"timeout"`, `"timeout|late"`), "", `result of sine_relay_decider_requests_total is never "late"`},
		{"a matcher for one bucket", `sine_relay_age_seconds_bucket{` + of + `,le="2"}`, "", "le is 1 in one format"},
		{"a grouping by a label that it does not have", strings.ReplaceAll(rate, "by (result)", "by (reason)"), "", "groups by reason"},
		{"a legend of a label that was summed up", rate, "{{integration}}", "the legend shows integration"},
		{"a legend of a target that was summed up", rate, "{{instance}}", "the legend shows instance"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := strings.Join(e.faults(drawn{"", c.expr, c.legend}), "; ")
			if (found == "") != (c.fault == "") || !strings.Contains(found, c.fault) {
				t.Errorf("found %q, want %q", found, c.fault)
			}
		})
	}
}

// drawn is one query of the dashboard.
type drawn struct{ where, expr, legend string }

var labelValues = regexp.MustCompile(`^label_values\((\w+)(?:\{.*\})?, (\w+)\)$`)

// dashboardFile is what the tests read of the dashboard.
type dashboardFile struct {
	Annotations struct {
		List []struct{ Name, Expr, TitleFormat, TextFormat string }
	}
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []struct {
		Title   string
		Targets []struct{ RefID, Expr, LegendFormat string }
	}
}

func readDashboard(t *testing.T) (f dashboardFile) {
	t.Helper()
	content, err := os.ReadFile("../../../../deploy/dashboard/sine-relay.json")
	if err == nil {
		err = json.Unmarshal(content, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f dashboardFile) queries() (all []drawn) {
	for _, a := range f.Annotations.List {
		all = append(all, drawn{"annotation " + a.Name, a.Expr, a.TitleFormat + a.TextFormat})
	}
	for _, p := range f.Panels {
		for _, q := range p.Targets {
			all = append(all, drawn{"panel " + p.Title + ", query " + q.RefID, q.Expr, q.LegendFormat})
		}
	}
	return all
}
