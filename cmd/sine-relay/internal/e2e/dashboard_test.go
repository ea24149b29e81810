package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// unused are the metrics that the dashboard does not ask for, and why not. It
// asks for all of them.
var unused = map[string]string{
	"sine_relay_integration_info":                      "alerts name the site by it",
	"sine_relay_field_found_timestamp_seconds":         "an alert compares relays by it",
	"sine_relay_field_missing_bodies":                  "an alert sums it over the relays, and mostly it soon ends",
	"sine_relay_field_missing_probability":             "an alert sums it over the relays, and mostly it soon ends",
	"sine_relay_field_missing_since_timestamp_seconds": "an alert compares relays by it",
}

// What the dashboard asks for is there, and what is there is asked for: a query
// about a metric, a label or a value that no relay exposes draws nothing, and
// looks like peace.
func TestDashboard_QueriesExactlyTheExposedMetrics(t *testing.T) {
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

func TestDashboard_CheckFindsFaultyQueries(t *testing.T) {
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

var (
	selector    = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}`)
	matcher     = regexp.MustCompile(`(\w+)(?:=~|!~|!=|=)"([^"]*)"`)
	grouping    = regexp.MustCompile(`\b(by|on) \(([^)]*)\)`)
	legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)
	suffix      = regexp.MustCompile(`_(bucket|sum|count)$`)
	// explained is everything in a query but a metric that stands alone.
	explained = regexp.MustCompile(selector.String() + `|` + grouping.String() + `|\[[^]]*\]|\$\{\w+\}|\b[0-9][0-9.e]*\b|\b(?:and|or|unless)\b|\w+(?: by \([^)]*\))? *\(`)
	word      = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
)

// targetLabels are given by Prometheus and Kubernetes to whatever is scraped.
var targetLabels = []string{"namespace", "job", "pod", "instance"}

// faults are the reasons for which a query would not show what it means to.
func (e exposition) faults(d drawn) (all []string) {
	for _, name := range word.FindAllString(explained.ReplaceAllString(d.expr, " "), -1) {
		all = append(all, name+" is asked without matchers")
	}
	for _, s := range selector.FindAllStringSubmatch(d.expr, -1) {
		all = append(all, e.selects(s[1], s[2])...)
	}
	var kept []string
	for _, at := range grouping.FindAllStringSubmatchIndex(d.expr, -1) {
		by, labels := d.expr[at[2]:at[3]] == "by", strings.Split(d.expr[at[4]:at[5]], ", ")
		for _, label := range labels {
			if !e.someHas(inParentheses(d.expr[at[1]:]), label) {
				all = append(all, "groups by "+label+" what does not have it")
			}
		}
		if by {
			kept = append(kept, labels...)
		}
	}
	for _, shown := range legendLabel.FindAllStringSubmatch(d.legend, -1) {
		if !slices.Contains(kept, shown[1]) {
			all = append(all, "the legend shows "+shown[1]+", which the query does not keep")
		}
	}
	return all
}

// selects returns what is wrong with a metric's matchers.
func (e exposition) selects(name, matchers string) (all []string) {
	own := e.metric(name)
	if own == "" {
		return []string{name + " is not exposed"}
	}
	for _, label := range []string{"namespace", "job", "integration"} {
		if (label != "integration" || e.has(name, label)) && !strings.Contains(matchers, label+`=~"$`+label+`"`) {
			all = append(all, name+" does not keep to the chosen "+label)
		}
	}
	for _, m := range matcher.FindAllStringSubmatch(matchers, -1) {
		label, values := m[1], m[2]
		switch {
		case label == "le" || label == "quantile":
			all = append(all, label+" is 1 in one format of metrics and 1.0 in another")
		case !e.has(name, label):
			all = append(all, name+" has no label "+label)
		case strings.HasPrefix(values, "$"):
		default:
			all = append(all, e.neverSeen(own, label, strings.Split(values, "|"))...)
		}
	}
	return all
}

func (e exposition) neverSeen(name, label string, values []string) (all []string) {
	for _, value := range values {
		seen := slices.ContainsFunc(e.families[name].GetMetric(), func(m *dto.Metric) bool {
			return slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == label && l.GetValue() == value })
		})
		if !seen {
			all = append(all, fmt.Sprintf("%s of %s is never %q", label, name, value))
		}
	}
	return all
}

// metric is what exposes the series of that name, or empty.
func (e exposition) metric(series string) string {
	name := series
	base := suffix.ReplaceAllString(series, "")
	if kind := e.families[base].GetType(); kind == dto.MetricType_HISTOGRAM || kind == dto.MetricType_SUMMARY {
		name = base
	}
	if _, own := e.labels[name]; own || e.families[name] != nil && !strings.HasPrefix(name, "sine_relay_") {
		return name
	}
	return ""
}

func (e exposition) has(series, label string) bool {
	name := e.metric(series)
	return name != "" && (slices.Contains(targetLabels, label) || slices.Contains(e.labels[name], label) ||
		label == "le" && strings.HasSuffix(series, "_bucket"))
}

// someHas reports whether one of the metrics in an expression has the label.
func (e exposition) someHas(expr, label string) bool {
	return slices.Contains(targetLabels, label) || slices.ContainsFunc(selector.FindAllStringSubmatch(expr, -1), func(s []string) bool {
		return e.has(s[1], label)
	})
}

// inParentheses is what stands in those that the expression begins with.
func inParentheses(expr string) string {
	depth := 0
	for i, c := range expr {
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return expr[:i]
			}
		}
	}
	return expr
}
