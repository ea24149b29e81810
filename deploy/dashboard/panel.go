package dashboard

import (
	"fmt"
	"strings"
)

// panel is one picture. What it leaves out is Grafana's default.
type panel struct {
	show   view
	title  string
	about  string // what it shows and what is bad, in plain words
	unit   string // by Grafana's name
	wide   int    // of 24 columns
	high   int
	ask    []query
	steps  []step
	means  []meaning
	none   string // what it says where there is nothing to show
	colors []color
	sort   string  // the column of a table with the worst first
	top    float64 // the highest value that there can be
}

// query is one question to Prometheus. In it, <relay> stands for the matchers of
// the chosen relays and <integration> for those of their chosen integrations.
type query struct {
	expr   string
	legend string
	unit   string // where it is not the panel's
	steps  []step // of a table's column
	means  []meaning
}

// step is a value from which on a color holds.
type step struct {
	from  float64
	color string
}

// meaning is what a value is shown as.
type meaning struct {
	value       string
	text, color string
}

// color is the one of the series whose names match.
type color struct{ names, color string }

// How values are judged.
var (
	anyIsBad = []step{{1, "red"}}
	anyIsOdd = []step{{1, "orange"}}
	yesIsBad = []meaning{{"0", "no", "green"}, {"1", "yes", "red"}}
	noIsBad  = []meaning{{"0", "no", "red"}, {"1", "yes", "green"}}
)

// Units by Grafana's names.
const (
	share     = "percentunit"
	seconds   = "s"
	size      = "bytes"
	number    = "short"
	perMinute = "cpm"
	ago       = "dateTimeFromNow"
)

var matchers = strings.NewReplacer(
	"<relay>", `namespace=~"$namespace",job=~"$job"`,
	"<integration>", `namespace=~"$namespace",job=~"$job",integration=~"$integration"`,
)

func expand(expr string) string { return matchers.Replace(expr) }

// quantile asks for a quantile of a histogram, given with its matchers: of the
// classic one, or of the native one where Prometheus keeps no other.
func quantile(q, histogram string) string {
	name, inside, _ := strings.Cut(histogram, "{")
	return fmt.Sprintf("histogram_quantile(%s, sum by (le) (rate(%s_bucket{%s[$__rate_interval]))) or histogram_quantile(%s, sum(rate(%s[$__rate_interval])))",
		q, name, inside, q, histogram)
}

// ofRelay keeps of a process' metric what relays expose: a job may scrape other
// programs as well.
func ofRelay(expr string) string {
	return expr + " and on (namespace, job, instance) sine_relay_build_info{<relay>}"
}

func (p panel) object(id int, at object) object {
	o := object{
		"id": id, "type": p.show.kind, "title": p.title, "description": p.about, "gridPos": at, "datasource": source,
		// Without a version Grafana takes the panel for one of its very old ones.
		"pluginVersion": "11.0.0",
		"options":       p.show.options(p),
		"fieldConfig":   object{"defaults": p.defaults(), "overrides": p.overrides()},
		"targets":       p.targets(),
	}
	if p.show.kind == table.kind {
		o["transformations"] = p.columns()
	}
	return o
}

func (p panel) defaults() object {
	d := object{"unit": p.unit, "color": object{"mode": p.show.colors}, "thresholds": thresholds(p.steps)}
	if p.show.custom != nil {
		d["custom"] = p.show.custom
	}
	if p.show.fromZero {
		d["min"] = 0
	}
	if p.top > 0 {
		d["max"] = p.top
	}
	if p.none != "" {
		d["noValue"] = p.none
	}
	if p.means != nil {
		d["mappings"] = mappings(p.means)
	}
	return d
}

func (p panel) targets() []object {
	targets := make([]object, len(p.ask))
	for i, q := range p.ask {
		targets[i] = object{
			"refId": refID(i), "datasource": source, "editorMode": "code", "expr": expand(q.expr),
			"legendFormat": q.legend, "range": !p.show.instant, "instant": p.show.instant, "format": p.show.format,
		}
	}
	return targets
}

func refID(i int) string { return string(rune('A' + i)) }

// thresholds are green up to the first step, unless that is from zero on.
func thresholds(steps []step) object {
	base := "green"
	if len(steps) > 0 && steps[0].from == 0 {
		base, steps = steps[0].color, steps[1:]
	}
	all := []object{{"value": nil, "color": base}}
	for _, s := range steps {
		all = append(all, object{"value": s.from, "color": s.color})
	}
	return object{"mode": "absolute", "steps": all}
}

func mappings(means []meaning) []object {
	values := object{}
	for i, m := range means {
		values[m.value] = object{"text": m.text, "color": m.color, "index": i}
	}
	return []object{{"type": "value", "options": values}}
}
