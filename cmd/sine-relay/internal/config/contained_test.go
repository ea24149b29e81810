package config

import (
	"slices"
	"testing"
)

// What stands in one integration's entry is its own; what others build on is
// everybody's.
func TestAFaultOfOneIntegrationIsContained(t *testing.T) {
	for _, c := range []struct {
		name, content string
		broken        []string
		others        []string
	}{
		{"an unknown field", "integrations: [{name: a, sitee: hq}, {name: b}]", []string{"a"}, []string{"b"}},
		{"a list for a text", "integrations:\n- name: a\n  site: [hq]\n- name: b\n", []string{"a"}, []string{"b"}},
		{"a condition with a fault", "integrations: [{name: b}, {name: a, deciders: [{name: x, when: 'visitortype'}]}]", []string{"a"}, []string{"b"}},
		{"two with errors", "integrations: [{name: a, timeZone: Mars}, {name: c, decider: '>'}, {name: b}]", []string{"a", "c"}, []string{"b"}},
		{"one that is there twice is neither", "integrations: [{name: a}, {name: b}, {name: a, site: hq}]", []string{"a"}, []string{"b"}},
		{"a name that is none", "integrations: [{name: Head Office}, {name: b}]", []string{""}, []string{"b"}},
		{"no name", "integrations: [{}, {name: b}]", []string{""}, []string{"b"}},
		{"an entry that is a name", "integrations: [a, {name: b}]", []string{""}, []string{"b"}},
		{"a name twice in one entry", "integrations:\n- name: a\n  name: c\n- name: b\n", []string{""}, []string{"b"}},
		{"a merge with a fault", "integrations:\n- &x {name: a, timeZone: Mars}\n- {<<: *x, name: c, timeZone: UTC}\n- {name: b}\n", []string{"a"}, []string{"b", "c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Load(environ(withFile(t, c.content, "a", "b", "c")...), nil)
			if err != nil {
				t.Fatalf("faults:\n%v", err)
			}
			var names []string
			for _, i := range s.Integrations {
				names = append(names, i.Name)
			}
			slices.Sort(names)
			for _, site := range slices.Concat(c.broken, c.others) {
				if site != "" && !slices.Contains(s.Sites(), site) && !slices.Contains(s.Sites(), "hq") {
					t.Errorf("the site %s is not among %q", site, s.Sites())
				}
			}
			if !slices.Equal(sortedKeys(s.Broken), c.broken) || !slices.Equal(names, c.others) || len(s.Entries) != len(names) {
				t.Errorf("broken %q, in force %q", sortedKeys(s.Broken), names)
			}
			for name, faults := range s.Broken {
				if len(faults) == 0 || !slices.Contains(s.Contained, faults[0]) {
					t.Errorf("%q: %v is not among %v", name, faults, s.Contained)
				}
			}
		})
	}
	for name, content := range map[string]string{
		"a fault of the defaults":         "defaults: {timeZone: Mars}\nintegrations: [{name: a, timeZone: UTC}]",
		"an unknown field of the file":    "integration: []\nintegrations: [{name: a}]",
		"an unknown field of defaults":    "defaults: {zone: UTC}\nintegrations: [{name: a}]",
		"no list":                         "integrations: {name: a}",
		"not YAML":                        "integrations: [{name: a}, {name: b]",
		"an anchor that is not there":     "integrations: [{name: a}, *x]",
		"no integration":                  "integrations: []",
		"the integration of the variable": "integrations: [{name: default}]",
	} {
		settings := withFile(t, content, "a")
		if name == "the integration of the variable" {
			settings[0] = "KEYS=" + key
		}
		if _, err := Load(environ(settings...), nil); err == nil {
			t.Errorf("%s: is in force", name)
		}
	}
}
