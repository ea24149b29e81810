package config

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const chart = "../../../../helm/sine-relay/"

// leftToExtraEnv are settings that have no value in the chart, by the reason.
var leftToExtraEnv = map[string][]string{
	"the chart is for an existing NATS": {
		"NATS_STORE_DIR", "NATS_LISTEN", "NATS_LISTEN_TLS_CERT_FILE", "NATS_LISTEN_TLS_KEY_FILE", "NATS_LISTEN_PLAINTEXT",
	},
	"they come from files": {"KEYS", "SITE"},
	"they protect the relay and need no tuning": {
		"HEADER_LIMIT", "JSON_DEPTH", "READ_TIMEOUT", "WRITE_TIMEOUT", "IDLE_TIMEOUT",
		"MAX_CONNECTIONS", "MAX_CHECK_IN_REQUESTS", "MAX_EVENTS", "MAX_WAITING_EVENTS", "MAX_BODY_MEMORY",
	},
}

func TestChart_SetsEverySettingOfTheProgram(t *testing.T) {
	known, set := programSettings(t), chartSettings(t)
	for name := range set {
		secret := strings.TrimSuffix(name, "_FILE")
		if _, ok := known[name]; !ok && !known[secret].secret {
			t.Errorf("the chart sets %s%s, which is not a setting", Prefix, name)
		}
	}
	left := slices.Concat(slices.Collect(maps.Values(leftToExtraEnv))...)
	for name, s := range known {
		left := slices.Contains(left, name)
		if here := set[name] || s.secret && set[name+"_FILE"]; here == left {
			t.Errorf("%s%s: set by the chart: %t, left to extraEnv: %t", Prefix, name, here, left)
		}
	}
	for _, name := range left {
		if _, ok := known[name]; !ok {
			t.Errorf("%s%s is left to extraEnv and is not a setting", Prefix, name)
		}
	}
}

// valuesOfSettings are the values that stand for a setting with a default. One
// that differs from the program says so.
var valuesOfSettings = map[string]struct{ path, unit, differs string }{
	"FORWARDED_HEADER":               {path: "forwardedHeader"},
	"NATS_TLS_HANDSHAKE_FIRST":       {path: "nats.tls.handshakeFirst"},
	"NATS_IGNORE_DISCOVERED_SERVERS": {path: "nats.ignoreDiscoveredServers"},
	"NATS_INBOX_PREFIX":              {path: "nats.inboxPrefix"},
	"PLAIN_HTTP":                     {path: "plainHTTP"},
	"NATS_REPLICAS":                  {path: "streams.replicas"},
	"NATS_SYNC_INTERVAL":             {path: "streams.syncInterval"},
	"GROUP_COMMIT":                   {path: "streams.groupCommit"},
	"SUBJECT_PREFIX":                 {path: "subjectPrefix"},
	"EVENT_STREAM":                   {path: "streams.events.name"},
	"EVENT_STREAM_MAX_AGE":           {path: "streams.events.maxAge"},
	"EVENT_STREAM_MAX_BYTES":         {path: "streams.events.maxBytes"},
	"DECISION_STREAM":                {path: "streams.decisions.name"},
	"DECISION_STREAM_MAX_AGE":        {path: "streams.decisions.maxAge"},
	"DECISION_STREAM_MAX_BYTES":      {path: "streams.decisions.maxBytes"},
	"QUARANTINE_STREAM":              {path: "streams.quarantine.name"},
	"QUARANTINE_STREAM_MAX_AGE":      {path: "streams.quarantine.maxAge"},
	"QUARANTINE_STREAM_MAX_BYTES":    {path: "streams.quarantine.maxBytes"},
	"ORDER_BUCKET":                   {path: "streams.orderBucket"},
	"ORDERS_MAX_AGE":                 {path: "streams.ordersMaxAge"},
	"ORDERS_UNKNOWN_OBEY_DECIDERS":   {path: "streams.ordersUnknownObeyDeciders"},
	"OVERRIDE_MAX_DURATION":          {path: "streams.overrideMaxDuration"},
	"STREAM_DEDUPE_WINDOW":           {path: "streams.dedupeWindow"},
	"TIME_ZONE":                      {path: "timeZone"},
	"DECISION_BUDGET":                {path: "decisionBudget"},
	"STORE_BUDGET":                   {path: "storeBudget"},
	"SPOOL_MAX_BYTES":                {path: "spool.maxBytes"},
	"SPOOL_MAX_AGE":                  {path: "spool.maxAge"},
	"BODY_LIMIT":                     {path: "bodyLimit"},
	"DRAIN_DELAY":                    {path: "shutdown.drainSeconds", unit: "s"},
	"SHUTDOWN_TIMEOUT":               {path: "shutdown.flushSeconds", unit: "s"},
	"DESK_OIDC_SCOPES":               {path: "desk.oidc.scopes"},
	"DESK_OIDC_NAME_CLAIM":           {path: "desk.oidc.nameClaim"},
	"DESK_OIDC_GROUPS_CLAIM":         {path: "desk.oidc.groupsClaim"},
	"DESK_SESSION_LIFETIME":          {path: "desk.sessionLifetime"},
	"DESK_STREAM":                    {path: "desk.stream.name"},
	"DESK_STREAM_MAX_AGE":            {path: "desk.stream.maxAge"},
	"DESK_STREAM_MAX_BYTES":          {path: "desk.stream.maxBytes"},
	"LOG_LEVEL":                      {path: "log.level"},
	"LOG_FORMAT":                     {path: "log.format", differs: "json"}, // there is no terminal
}

func TestChart_DefaultsEqualTheProgramDefaults(t *testing.T) {
	// The template's own: a pod is reached from outside of it.
	fixed := []string{"LISTEN", "ADMIN_LISTEN", "DESK_LISTEN", "DESK_ADMIN_LISTEN"}
	content, err := os.ReadFile(chart + "values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(content, &values); err != nil {
		t.Fatal(err)
	}
	set := chartSettings(t)
	for name, s := range programSettings(t) {
		v, ok := valuesOfSettings[name]
		if s.initial == "" || !set[name] || slices.Contains(fixed, name) {
			continue
		}
		if !ok {
			t.Errorf("%s%s has a default and no value that is compared with it", Prefix, name)
			continue
		}
		want := s.initial
		if v.differs != "" {
			want = v.differs
		}
		if got := valueAt(values, v.path) + v.unit; got != want {
			t.Errorf("%s is %s, and %s%s is %s", v.path, got, Prefix, name, want)
		}
	}
}

func valueAt(values map[string]any, path string) string {
	var value any = values
	for key := range strings.SplitSeq(path, ".") {
		mapping, _ := value.(map[string]any)
		value = mapping[key]
	}
	return fmt.Sprint(value)
}

type programSetting struct {
	initial string
	secret  bool
}

// programSettings reads the table of settings, by name without the prefix.
func programSettings(t *testing.T) map[string]programSetting {
	t.Helper()
	row := regexp.MustCompile("(?m)^\\| `" + Prefix + "([A-Z_]+)`( or `…_FILE`)? \\| .* \\| (?:`(.*)`)? \\|$")
	all := map[string]programSetting{}
	for _, m := range row.FindAllStringSubmatch(Docs(), -1) {
		all[m[1]] = programSetting{initial: m[3], secret: m[2] != ""}
	}
	if rows := strings.Count(Docs(), "\n| `"); len(all) != rows {
		t.Fatalf("%d of %d settings understood", len(all), rows)
	}
	return all
}

// chartSettings are the settings that the chart's templates name, without the
// prefix.
func chartSettings(t *testing.T) map[string]bool {
	t.Helper()
	name := regexp.MustCompile(Prefix + `((?:[A-Z_]|\{\{ \$stream \}\})+)`)
	all := map[string]bool{}
	err := filepath.WalkDir(chart+"templates", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		for _, m := range name.FindAllSubmatch(content, -1) {
			for _, stream := range []string{"EVENT", "DECISION", "QUARANTINE"} {
				all[strings.ReplaceAll(string(m[1]), "{{ $stream }}", stream)] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
