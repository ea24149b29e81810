package helm

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// withoutDefault are keys that the schema knows and values.yaml does not need to
// show.
var withoutDefault = []string{
	"integrations.config.defaults", "resources.claims",
	"startupProbe.initialDelaySeconds", "startupProbe.timeoutSeconds",
	"livenessProbe.initialDelaySeconds", "readinessProbe.initialDelaySeconds",
}

func TestSchema_HasTheSameKeysAsTheValues(t *testing.T) {
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
func TestSchema_RefusesUnknownKeys(t *testing.T) {
	walkValues(t, func(path string, _ map[string]any, s schema) {
		if strict := string(s.AdditionalProperties) == "false"; strict == (path == "global.") {
			t.Errorf("%q: additionalProperties is %s", path, s.AdditionalProperties)
		}
	})
}

// Helm takes null for a key that is not there. A template would make 0 replicas
// of it, or fail with a text that nobody understands.
func TestSchema_RefusesNull(t *testing.T) {
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
