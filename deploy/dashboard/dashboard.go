// Package dashboard makes sine-relay.json, the relay's dashboard for Grafana 10
// and later, from tables of panels: what each shows, asks for and warns of is a
// few lines in the file of its row, and everything that Grafana wants to know
// again for each panel is said once.
//
// It promises a file that can be provisioned and imported as it is: it names no
// data source, no database id and no place on the page by hand, and the same
// tables make the same bytes. That its queries ask for what the relay exposes is
// a test of cmd/sine-relay/internal/e2e, which knows the relay.
package dashboard

import (
	"bytes"
	"encoding/json"
)

// UID is the dashboard's name in links.
const UID = "sine-relay"

// object is a part of the file. Its keys are written in alphabetical order.
type object map[string]any

// source is the data source that the reader has chosen.
var source = object{"type": "prometheus", "uid": "${datasource}"}

// rows are the page from top to bottom. The first has no heading: it is what
// somebody who was called sees first.
var rows = []row{{panels: strip}, {"Check-in", checkIn}, {"Events", events}, {"Spool", spool}, {"NATS", nats}, {"Runtime", runtime}}

// JSON returns the dashboard.
func JSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // queries compare
	e.SetIndent("", " ")
	err := e.Encode(object{
		"uid":           UID,
		"title":         "Sine Relay",
		"description":   "How check-in requests are answered, what became of their events, and the state of what both need.",
		"tags":          []string{"sine-relay", "nats", "visitors"},
		"schemaVersion": 39,
		"editable":      true,
		"graphTooltip":  1, // one crosshair over all panels
		"refresh":       "30s",
		"time":          object{"from": "now-6h", "to": "now"},
		"timezone":      "browser",
		"links":         []object{},
		"templating":    object{"list": variables},
		"annotations":   object{"list": annotations},
		"panels":        layOut(rows),
	})
	return b.Bytes(), err
}

// variables choose what the page is about. A Prometheus without namespaces has no
// such label, which .* matches and a list of names would not.
var variables = []object{
	{"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1, "current": object{}},
	choice("namespace", "Namespace", `label_values(sine_relay_build_info, namespace)`, ".*"),
	// All is spelled out here: what is asked of Go and of the process would
	// otherwise be read for every program that Prometheus knows.
	choice("job", "Job", `label_values(sine_relay_build_info{namespace=~"$namespace"}, job)`, ""),
	choice("integration", "Integration", `label_values(sine_relay_last_webhook_timestamp_seconds{namespace=~"$namespace",job=~"$job"}, integration)`, ".*"),
}

// choice is a variable of which any number may be chosen. All of them stand for
// the expression, or for their list where it is empty.
func choice(name, label, query, all string) object {
	v := object{
		"type": "query", "name": name, "label": label, "datasource": source,
		"query": object{"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"}, "definition": query,
		"multi": true, "includeAll": true, "refresh": 2, "sort": 5,
		"current": object{"text": []string{"All"}, "value": []string{"$__all"}},
	}
	if all != "" {
		v["allValue"] = all
	}
	return v
}

// annotations mark moments on every panel.
var annotations = []object{
	{
		"name": "Configuration in force", "datasource": source, "enable": true, "iconColor": "blue",
		"expr":            expand(`max by (namespace, job) (sine_relay_config_last_reload_success_timestamp_seconds{<relay>}) * 1000 > ${__from}`),
		"useValueForTime": true, "step": "60s", "titleFormat": "Configuration in force", "textFormat": "{{job}}",
	},
	{
		"name": "Lockdown and override", "datasource": source, "enable": true, "iconColor": "red",
		"expr": expand(`max by (type, site) (sine_relay_standing_order_in_force{<relay>})`),
		"step": "60s", "titleFormat": "{{type}}", "textFormat": "site {{site}}", "tagKeys": "type,site",
	},
}
