package dashboard

// view is a way of showing values.
type view struct {
	kind     string // by Grafana's name
	format   string // of the answers
	instant  bool   // the values of now, and not of the time that is shown
	fromZero bool
	colors   string
	custom   object
	options  func(p panel) object
}

var (
	// stat is one number. It is asked for now: the last of a relay that is gone
	// would look like a present one.
	stat = view{kind: "stat", format: "time_series", instant: true, colors: "thresholds", options: func(p panel) object {
		o := object{"colorMode": "background", "graphMode": "none", "textMode": "auto", "justifyMode": "center", "reduceOptions": last}
		if len(p.ask) > 1 || p.ask[0].legend != "" {
			o["textMode"] = "value_and_name"
		}
		return o
	}}

	bars = view{kind: "timeseries", format: "time_series", fromZero: true, colors: "palette-classic-by-name",
		custom:  object{"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "stacking": object{"mode": "normal", "group": "A"}},
		options: legendBelow}

	lines = view{kind: "timeseries", format: "time_series", fromZero: true, colors: "palette-classic-by-name",
		custom:  object{"drawStyle": "line", "fillOpacity": 5, "lineWidth": 1, "showPoints": "auto"},
		options: legendBelow}

	// ranked lines have a legend in which the worst of many comes first.
	ranked = view{kind: "timeseries", format: "time_series", fromZero: true, colors: "palette-classic-by-name",
		custom: object{"drawStyle": "line", "fillOpacity": 0, "lineWidth": 1, "showPoints": "auto"},
		options: func(panel) object {
			return object{"legend": legend("table", "right", "min", "lastNotNull"), "tooltip": tooltip}
		}}

	// states are stretches of time in which something held.
	states = view{kind: "state-timeline", format: "time_series", colors: "thresholds",
		custom: object{"fillOpacity": 80, "lineWidth": 0},
		options: func(panel) object {
			return object{"showValue": "never", "mergeValues": true, "rowHeight": 0.8, "legend": legend("list", "bottom"), "tooltip": tooltip}
		}}

	gauges = view{kind: "bargauge", format: "time_series", instant: true, fromZero: true, colors: "thresholds", options: func(panel) object {
		return object{"displayMode": "basic", "orientation": "horizontal", "showUnfilled": true, "valueMode": "color", "reduceOptions": last}
	}}

	table = view{kind: "table", format: "table", instant: true, colors: "thresholds", options: func(p panel) object {
		return object{"showHeader": true, "cellHeight": "sm", "sortBy": []object{{"displayName": p.sort, "desc": true}}}
	}}
)

var (
	last    = object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}
	tooltip = object{"mode": "multi", "sort": "desc"}
)

func legendBelow(panel) object {
	return object{"legend": legend("list", "bottom"), "tooltip": tooltip}
}

func legend(mode, place string, calcs ...string) object {
	l := object{"showLegend": true, "displayMode": mode, "placement": place, "calcs": append([]string{}, calcs...)}
	if len(calcs) > 0 {
		l["sortBy"], l["sortDesc"] = "Min", false
	}
	return l
}

// overrides are what holds for some of the series, or for a column.
func (p panel) overrides() []object {
	all := []object{}
	for _, c := range p.colors {
		all = append(all, override("byRegexp", c.names, property("color", object{"mode": "fixed", "fixedColor": c.color})))
	}
	for _, q := range p.ask {
		var of []object
		if q.unit != "" {
			of = append(of, property("unit", q.unit))
		}
		if q.steps != nil {
			of = append(of, property("thresholds", thresholds(q.steps)), property("custom.cellOptions", object{"type": "color-background", "mode": "basic"}))
		}
		if q.means != nil {
			of = append(of, property("mappings", mappings(q.means)))
		}
		if of != nil {
			all = append(all, override("byName", q.legend, of...))
		}
	}
	return all
}

func override(matcher, names string, properties ...object) object {
	return object{"matcher": object{"id": matcher, "options": names}, "properties": properties}
}

func property(id string, value any) object { return object{"id": id, "value": value} }

// columns puts the answers of a table's queries beside each other, by the labels
// that they share, under the names of their legends.
func (p panel) columns() []object {
	names := object{"integration": "Integration", "key": "Key"}
	for i, q := range p.ask {
		name := "Value #" + refID(i)
		if len(p.ask) == 1 {
			name = "Value"
		}
		names[name] = q.legend
	}
	return []object{
		{"id": "merge", "options": object{}},
		{"id": "organize", "options": object{"excludeByName": object{"Time": true}, "renameByName": names}},
	}
}
