package helm

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "copy the files again")

const chartDir = "sine-relay"

// The chart cannot read files outside of its folder, and so it has copies.
func TestChart_FilesAreCopiesOfTheOriginals(t *testing.T) {
	for original, file := range map[string]string{
		"../deploy/alerts/sine-relay.yaml":    "files/alerts.yaml",
		"../deploy/dashboard/sine-relay.json": "files/dashboard.json",
	} {
		content, err := os.ReadFile(original)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(content, chartFile(t, file)) {
			continue
		}
		if !*update {
			t.Errorf("%s of the chart is not %s: go test ./helm -update", file, original)
			continue
		}
		if err := os.WriteFile(filepath.Join(chartDir, file), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestChart_HasItsNameAndValidVersions(t *testing.T) {
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
func TestValues_EachHasAComment(t *testing.T) {
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
