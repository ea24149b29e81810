package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v4"
)

// carryFiles tells whether the alerts and the dashboard arrive as they are in the
// files.
func carryFiles(rendered, alertsFile, dashboardFile string) ([]string, error) {
	objects, err := read(rendered)
	if err != nil {
		return nil, err
	}
	alerts, err := os.ReadFile(alertsFile)
	if err != nil {
		return nil, err
	}
	dashboard, err := os.ReadFile(dashboardFile)
	if err != nil {
		return nil, err
	}
	return carry(objects, alerts, dashboard)
}

func carry(objects []object, alerts, dashboard []byte) (faults []string, err error) {
	var rules, want any
	if err := yaml.Unmarshal(alerts, &rules); err != nil {
		return nil, fmt.Errorf("alerts: %w", err)
	}
	if err := json.Unmarshal(dashboard, &want); err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	missing := map[string]bool{"alerts are": true, "dashboard is": true}
	for _, o := range objects {
		data, _ := o.content["data"].(map[string]any)
		switch text, isDashboard := data["sine-relay.json"].(string); {
		case o.Kind == "PrometheusRule":
			delete(missing, "alerts are")
			if !reflect.DeepEqual(o.content["spec"], rules) {
				faults = append(faults, fmt.Sprintf("%s does not have the alerts of the file", o))
			}
		case isDashboard:
			delete(missing, "dashboard is")
			var got any
			if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
				faults = append(faults, fmt.Sprintf("%s does not have the dashboard of the file", o))
			}
		}
	}
	for _, what := range slices.Sorted(maps.Keys(missing)) {
		faults = append(faults, fmt.Sprintf("the %s not there", what))
	}
	return faults, nil
}
