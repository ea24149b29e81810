package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"

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
	var rules, want, got any
	if err := yaml.Unmarshal(alerts, &rules); err != nil {
		return nil, fmt.Errorf("alerts: %w", err)
	}
	if err := json.Unmarshal(dashboard, &want); err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	for _, o := range objects {
		switch data, _ := o.content["data"].(map[string]any); {
		case o.Kind == "PrometheusRule" && !reflect.DeepEqual(o.content["spec"], rules):
			faults = append(faults, fmt.Sprintf("%s does not have the alerts of the file", o))
		case data["sine-relay.json"] != nil:
			text, _ := data["sine-relay.json"].(string)
			if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
				faults = append(faults, fmt.Sprintf("%s does not have the dashboard of the file", o))
			}
		}
	}
	if len(only(objects, func(o object) bool { return o.Kind == "PrometheusRule" })) == 0 || got == nil {
		faults = append(faults, "alerts or dashboard are not there")
	}
	return faults, nil
}
