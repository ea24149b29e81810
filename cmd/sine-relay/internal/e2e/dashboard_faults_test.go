package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

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
