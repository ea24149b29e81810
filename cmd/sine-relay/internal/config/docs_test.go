package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestDocsNameEverySetting(t *testing.T) {
	docs := Docs()
	for f := range reflect.TypeFor[Environment]().Fields() {
		name, initial, hasDefault := strings.Cut(f.Tag.Get("env"), ", default=")
		s, ok := settingNamed(name)
		if !ok || s.help == "" || s.initial != initial || !strings.Contains(docs, "| `"+Prefix+name+"`") {
			t.Errorf("%s has no line", name)
		}
		if hasDefault && !strings.Contains(docs, "| `"+initial+"` |") {
			t.Errorf("the default of %s is missing", name)
		}
	}
	if lines := strings.Count(docs, "\n"); lines != len(settings)+2 {
		t.Errorf("%d lines for %d settings", lines, len(settings))
	}
}

func TestSizesAndDurationsAreMarkedAsSuch(t *testing.T) {
	for _, s := range settings {
		_, isDuration := parseDuration(s.initial)
		_, isSize := parseSize(s.initial)
		if isDuration && s.unit != "duration" || isSize && strings.HasSuffix(s.initial, "iB") && s.unit != "bytes" {
			t.Errorf("%s: %s has the unit %q", s.name, s.initial, s.unit)
		}
	}
}
