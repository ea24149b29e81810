package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const chartDir = "../../helm/sine-relay"

// The chart cannot read files outside of its folder, and so it has copies.
func TestTheChartsFilesAreCopies(t *testing.T) {
	for original, file := range map[string]string{
		"../../deploy/alerts/sine-relay.yaml":    "files/alerts.yaml",
		"../../deploy/dashboard/sine-relay.json": "files/dashboard.json",
	} {
		content, err := os.ReadFile(original)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(content, chartFile(t, file)) {
			continue
		}
		if !*update {
			t.Errorf("%s of the chart is not %s: go test ./cmd/sine-relay -run Chart -update", file, original)
			continue
		}
		if err := os.WriteFile(filepath.Join(chartDir, file), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheChartNamesItselfAndItsVersions(t *testing.T) {
	var chart map[string]any
	decodeYAML(t, "Chart.yaml", &chart)
	text := func(field string) string { s, _ := chart[field].(string); return s }
	version := regexp.MustCompile(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$`)
	for field, ok := range map[string]bool{
		"apiVersion":  text("apiVersion") == "v2",
		"name":        text("name") == filepath.Base(chartDir),
		"type":        text("type") == "application",
		"version":     version.MatchString(text("version")),
		"appVersion":  version.MatchString(text("appVersion")),
		"kubeVersion": strings.HasSuffix(text("kubeVersion"), "-0"), // or Helm refuses clusters like 1.30.1-gke.2
	} {
		if !ok {
			t.Errorf("Chart.yaml: %s is %v", field, chart[field])
		}
	}
}

// helm-docs takes the README's texts from these comments. One above a key speaks
// for what is below it, too.
func TestEveryValueOfTheChartIsExplained(t *testing.T) {
	content := chartFile(t, "values.yaml")
	lines := strings.Split(string(content), "\n")
	explained := func(line int) bool { // from 1
		above := line - 2
		if above >= 0 && strings.HasPrefix(strings.TrimSpace(lines[above]), "# @") {
			above--
		}
		return above >= 0 && strings.HasPrefix(strings.TrimSpace(lines[above]), "# -- ")
	}
	var root yaml.Node
	if err := yaml.Unmarshal(content, &root); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, mapping *yaml.Node)
	walk = func(path string, mapping *yaml.Node) {
		for i := 0; i < len(mapping.Content); i += 2 {
			key, value := mapping.Content[i], mapping.Content[i+1]
			switch {
			case explained(key.Line):
			case value.Kind == yaml.MappingNode && len(value.Content) > 0:
				walk(path+key.Value+".", value)
			default:
				t.Errorf("values.yaml:%d: %s%s has no comment that begins with # --", key.Line, path, key.Value)
			}
		}
	}
	walk("", root.Content[0])
}

// withoutDefault are keys that the schema knows and values.yaml does not need to
// show.
var withoutDefault = []string{
	"integrations.config.defaults", "resources.claims",
	"startupProbe.initialDelaySeconds", "startupProbe.timeoutSeconds",
	"livenessProbe.initialDelaySeconds", "readinessProbe.initialDelaySeconds",
}

func TestTheChartsSchemaAndValuesNameTheSame(t *testing.T) {
	walkValues(t, func(path string, value map[string]any, s schema) {
		for key := range value {
			if s.Properties[key] == nil {
				t.Errorf("%s%s is in values.yaml and not in values.schema.json", path, key)
			}
		}
		for key := range s.Properties {
			if _, ok := value[key]; !ok && !slices.Contains(withoutDefault, path+key) {
				t.Errorf("%s%s is in values.schema.json and not in values.yaml", path, key)
			}
		}
	})
}

// A typing error must not be taken for a value. The chart of which this one is a
// part may put anything into global.
func TestTheChartsSchemaIsStrict(t *testing.T) {
	walkValues(t, func(path string, _ map[string]any, s schema) {
		if strict := string(s.AdditionalProperties) == "false"; strict == (path == "global.") {
			t.Errorf("%q: additionalProperties is %s", path, s.AdditionalProperties)
		}
	})
}

// Helm takes null for a key that is not there. A template would make 0 replicas
// of it, or fail with a text that nobody understands.
func TestTheChartsSchemaRefusesNull(t *testing.T) {
	free := regexp.MustCompile(`^(global|resources|[a-z]+Probe)\.`) // what these leave out, others decide
	walkValues(t, func(path string, value map[string]any, s schema) {
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if value[key] != nil && !slices.Contains(s.Required, key) && !free.MatchString(path) {
				t.Errorf("%s%s is not required by values.schema.json", path, key)
			}
		}
	})
}

// schema is what is read of a JSON schema.
type schema struct {
	Ref                  string `json:"$ref"`
	Properties           map[string]*schema
	AdditionalProperties json.RawMessage
	Required             []string
	Defs                 map[string]*schema `json:"$defs"`
}

// walkValues visits each part of the values whose keys the schema names, with its
// path, which ends in a dot, and its schema.
func walkValues(t *testing.T, visit func(path string, value map[string]any, s schema)) {
	t.Helper()
	var root schema
	if err := json.Unmarshal(chartFile(t, "values.schema.json"), &root); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, value any, s *schema)
	walk = func(path string, value any, s *schema) {
		if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
			s = root.Defs[name]
		}
		mapping, _ := value.(map[string]any)
		if len(s.Properties) == 0 {
			return
		}
		visit(path, mapping, *s)
		for key, inner := range s.Properties {
			if value, ok := mapping[key]; ok {
				walk(path+key+".", value, inner)
			}
		}
	}
	var values map[string]any
	decodeYAML(t, "values.yaml", &values)
	walk("", values, &root)
}

func chartFile(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(chartDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func decodeYAML(t *testing.T, file string, into any) {
	t.Helper()
	if err := yaml.Unmarshal(chartFile(t, file), into); err != nil {
		t.Fatal(err)
	}
}
