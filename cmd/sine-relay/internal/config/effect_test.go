package config

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/relay/fields"
)

// effects has, for each setting of the integrations file, a value that must change
// something that somebody sees: what the relay does, a URL, or a warning.
var effects = map[string]string{
	"name":                  "{name: b, site: a}",
	"displayName":           "{name: a, displayName: Lobby}",
	"site":                  "{name: a, site: hq}",
	"externalId":            "{name: a, externalId: HQ-7}",
	"test":                  "{name: a, test: true}",
	"capture.deliveries":    "{name: a, capture: {deliveries: 3, until: '2126-11-30T18:00:00Z'}}",
	"capture.until":         "{name: a, capture: {deliveries: 1, until: '2126-11-30T18:00:00Z'}}",
	"decider":               "{name: a, decider: watchlist}",
	"deciders.name":         "{name: a, deciders: [{name: watchlist}]}",
	"deciders.shadow":       "{name: a, deciders: [{name: default}, {name: x, shadow: true}]}",
	"deciders.condition":    "{name: a, deciders: [{name: default, condition: site == 'a'}]}",
	"deciders.expects":      "{name: a, deciders: [{name: default, expects: [company]}]}",
	"deciders.fallbacks":    "{name: a, deciders: [{name: default, fallbacks: {timeout: {decision: accept}}}]}",
	"allowFrom":             "{name: a, allowFrom: [192.0.2.0/24]}",
	"combine":               "{name: a, combine: any}",
	"timeZone":              "{name: a, timeZone: Europe/Zurich}",
	"decisionBudget":        "{name: a, decisionBudget: 1s}",
	"rejectMode":            "{name: a, rejectMode: status}",
	"rejectionConfirmed":    "{name: a, rejectionConfirmed: true}",
	"kinds":                 "{name: a, kinds: [checked_in]}",
	"kindAliases":           "{name: a, kindAliases: {arrived: checked_in}}",
	"fields":                "{name: a, fields: {company: [/org]}}",
	"labels.label":          "{name: a, labels: {label: [q]}}",
	"labels.value":          "{name: a, labels: {value: [a]}}",
	"dates.formats":         "{name: a, dates: {formats: ['%d/%m/%Y %H:%M']}}",
	"dates.timeZone":        "{name: a, dates: {timeZone: Europe/Zurich}}",
	"causeAliases":          "{name: a, causeAliases: {gone: left_area}}",
	"expects":               "{name: a, expects: [company]}",
	"rejectText":            "{name: a, rejectText: Wait}",
	"fallbacks.decision":    "{name: a, fallbacks: {timeout: {decision: accept}}}",
	"fallbacks.visitorText": "{name: a, fallbacks: {timeout: {visitorText: Wait}}}",
	"fallbacks.adminNote":   "{name: a, fallbacks: {timeout: {adminNote: Look}}}",
	"responses.accept":      "{name: a, responses: {accept: {code: OK}}}",
	"responses.reject":      "{name: a, responses: {reject: {code: NO}}}",
}

// A setting that is read and does nothing misleads whoever sets it.
func TestFile_EachSettingHasAnEffect(t *testing.T) {
	before := map[string]string{}
	for _, name := range fileSettings(reflect.TypeFor[entry](), "") {
		entry, known := effects[name]
		if !known {
			t.Errorf("%s: the test knows no value for it", name)
			continue
		}
		bare := "{name: a}"
		if strings.HasPrefix(name, "capture.") {
			bare = "{name: a, capture: {deliveries: 1, until: '2125-01-01T00:00:00Z'}}"
		}
		if before[bare] == "" {
			before[bare] = visible(t, bare)
		}
		if visible(t, entry) == before[bare] {
			t.Errorf("%s: %s changes nothing", name, entry)
		}
	}
}

// fileSettings are the settings of a type of the file, those of a fallback once.
func fileSettings(t reflect.Type, path string) (names []string) {
	for f := range t.Fields() {
		name, kind := strings.TrimPrefix(path+"."+f.Tag.Get("yaml"), "."), f.Type
		if f.Tag.Get("yaml") == ",inline" {
			names = append(names, fileSettings(kind, path)...)
			continue
		}
		if kind.Kind() == reflect.Slice || kind.Kind() == reflect.Map {
			kind = kind.Elem()
		}
		if kind.Kind() == reflect.Struct && name != "deciders.fallbacks" {
			names = append(names, fileSettings(kind, name)...)
			continue
		}
		names = append(names, name)
	}
	return names
}

// visible is what people and the relay see of a configuration.
func visible(t *testing.T, entry string) string {
	t.Helper()
	s := load(t, withFile(t, "integrations: ["+entry+"]", "a", "b")...)
	in := s.Integrations[0]
	b, _ := in.Fields.Read([]byte(`{"org":"Org","data":{"status":"gone","answers":[{"q":"Why?","a":"Because"}]}}`), 32)
	dates := []string{}
	for _, written := range []string{"4/3/2026 5:06", "2026-03-04T05:06:07"} {
		w := in.Fields.ReadDate(written, in.Zone, in.Capture.Until)
		dates = append(dates, w.Time.String())
	}
	expects := [][]fields.Field{}
	for _, e := range in.Expects {
		expects = append(expects, e.Fields())
	}
	warnings := slices.DeleteFunc(s.Warnings, func(p Problem) bool { return strings.Contains(p.What, "readable by every user") })
	in.Fields, in.Expects, in.Keys, in.PolicyVersion = nil, nil, nil, ""
	deciders := ""
	for _, d := range in.Deciders {
		deciders += fmt.Sprintf("%s %t %t %d %v;", d.Name, d.Shadow, d.Condition != nil, len(d.Expects), d.Fallbacks)
	}
	in.Deciders = nil
	zone := in.Zone.String()
	in.Zone = nil
	return fmt.Sprintf("%+v\n%s %s\n%+v %v %v %v\n%+v\n%v", in, zone, deciders, b.Pass, b.Cause, dates, expects, s.URLTable("https://x"), warnings.Lines())
}

// The same for settings of the environment: something beyond their checks reads them.
func TestEnvironment_EachSettingIsUsed(t *testing.T) {
	var sources strings.Builder
	for _, dir := range []string{".", "../server", "../cli", "../dev", "../deskserver"} {
		names, err := filepath.Glob(dir + "/*.go")
		if err != nil || len(names) == 0 {
			t.Fatal(dir, err)
		}
		for _, name := range names {
			if base := filepath.Base(name); strings.HasSuffix(base, "_test.go") || dir == "." && slices.Contains([]string{"environment.go", "check.go", "warn.go"}, base) {
				continue
			}
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			sources.Write(content)
		}
	}
	// What a check makes of a setting is used in its place.
	made := map[string]string{"TrustedProxies": "Proxies", "ForwardedHeader": "Proxies", "LogLevel": "Level"}
	for f := range reflect.TypeFor[Environment]().Fields() {
		f.Name = cmp.Or(made[f.Name], f.Name)
		if !regexp.MustCompile(`\.` + f.Name + `\b`).MatchString(sources.String()) {
			t.Errorf("nothing uses %s, %s", f.Name, f.Tag.Get("env"))
		}
	}
}
