// Command cases writes the tests of the alerts for promtool: a Monday morning of
// forty sites on two relays, beside another, smaller installation, and what fires
// when something is wrong at one of them, and that it clears when it is mended. Smaller
// worlds hold what an alert must tell apart: sites and installations that are each just
// wrong enough for it, or just not.
//
//	go run ./.ci/lib/alerts deploy/alerts/sine-relay.yaml FOLDER
//	promtool test rules FOLDER/*.yaml
//
// With an Alertmanager it sends to that what fires where every lobby is concerned, and
// looks at what the shipped inhibitions leave of it.
//
//	go run ./.ci/lib/alerts -inhibit alertmanager deploy/alerts/alertmanager.yaml
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 4 && os.Args[1] == "-inhibit":
		err = inhibition(os.Args[2], os.Args[3])
	case len(os.Args) == 3:
		err = write(os.Args[1], os.Args[2])
	default:
		fmt.Fprintln(os.Stderr, "usage: cases RULES FOLDER\n       cases -inhibit ALERTMANAGER CONFIGURATION")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cases:", err)
		os.Exit(1)
	}
}

// groups in their order: promtool has none of its own, and an alert that is looked at
// before its ratio is, sees nothing where a ratio is stale before the next.
var groups = []string{"sine-relay-ratios", "sine-relay-objectives", "sine-relay-symptoms"}

// parts is into how many files the tests of one rhythm are dealt out: promtool tests one
// file after the other, and several of it run at once.
const parts = 4

// write makes files for each rhythm: what takes days is looked at less often.
func write(rules, folder string) error {
	rules, err := filepath.Abs(rules)
	if err != nil {
		return err
	}
	files := map[string]*testFile{}
	for i, c := range cases() {
		rhythm := c.world.step.String()
		name := fmt.Sprintf("%s-%d", rhythm, i%parts)
		if files[name] == nil {
			files[name] = &testFile{RuleFiles: []string{rules}, GroupEvalOrder: groups, EvaluationInterval: rhythm}
		}
		files[name].Tests = append(files[name].Tests, c.test())
	}
	for name, file := range files {
		content, err := json.Marshal(file) // JSON is YAML
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name+".yaml"), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// testFile and the types below have the form that promtool reads, see
// https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules.
type testFile struct {
	RuleFiles          []string `json:"rule_files"`
	GroupEvalOrder     []string `json:"group_eval_order"`
	EvaluationInterval string   `json:"evaluation_interval"`
	Tests              []test   `json:"tests"`
}

type test struct {
	Name        string        `json:"name"`
	Interval    string        `json:"interval"`
	InputSeries []inputSeries `json:"input_series"`
	Expressions []expression  `json:"promql_expr_test"`
	Alerts      []alertTest   `json:"alert_rule_test,omitempty"`
}

type alertTest struct {
	At     string          `json:"eval_time"`
	Name   string          `json:"alertname"`
	Alerts []expectedAlert `json:"exp_alerts"`
}

type expectedAlert struct {
	Labels      labels            `json:"exp_labels"`
	Annotations map[string]string `json:"exp_annotations"`
}

type inputSeries struct {
	Series string `json:"series"`
	Values string `json:"values"`
}

type expression struct {
	Expr    string   `json:"expr"`
	At      string   `json:"eval_time"`
	Samples []sample `json:"exp_samples"`
}

type sample struct {
	Labels string  `json:"labels"`
	Value  float64 `json:"value"`
}
