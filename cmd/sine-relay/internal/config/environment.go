package config

import (
	"context"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"
)

// setting is one variable, as the tags of [Environment] describe it.
type setting struct {
	name, initial, unit, help string // name without the prefix
	kind                      reflect.Kind
	secret                    bool
}

// settings are all variables, in the order of the struct.
var settings = func() []setting {
	var all []setting
	for f := range reflect.TypeFor[Environment]().Fields() {
		name, initial, _ := strings.Cut(f.Tag.Get("env"), ", default=")
		all = append(all, setting{
			name: name, initial: initial, unit: f.Tag.Get("unit"), help: f.Tag.Get("help"),
			kind: f.Type.Kind(), secret: f.Type == reflect.TypeFor[Secret](),
		})
	}
	return all
}()

func settingNamed(name string) (setting, bool) {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
	if i < 0 {
		return setting{}, false
	}
	return settings[i], true
}

// environment is a look-up for envconfig that knows what was asked for last, so
// that a fault can be told by its variable, and every fault be found: envconfig
// stops at the first.
type environment struct {
	values map[string]string // by name without the prefix
	set    map[string]bool   // by name with the prefix
	faults Faults
	last   string
	faulty map[string]bool
}

// newEnvironment takes what is ours from environ. A variable that is set but
// empty counts as not set: envconfig would let it suppress the default.
func newEnvironment(environ []string, defaults map[string]string) *environment {
	e := &environment{values: map[string]string{}, set: map[string]bool{}, faulty: map[string]bool{}}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		short, ours := strings.CutPrefix(name, Prefix)
		if !ours || value == "" || serviceLink.MatchString(name) {
			continue
		}
		if !e.known(short) {
			e.faults.add(name, "is not a setting%s", didYouMean(name, e.names()))
			continue
		}
		e.values[short] = value
		e.set[name] = true
	}
	slices.SortFunc(e.faults, func(a, b Fault) int { return strings.Compare(a.Where, b.Where) })
	e.readSecretFiles()
	for name, value := range defaults {
		short := strings.TrimPrefix(name, Prefix)
		if _, ok := e.values[short]; !ok {
			e.values[short] = value
		}
	}
	return e
}

// serviceLink matches what Kubernetes puts into the environment of every pod
// beside a Service whose name begins with sine-relay.
var serviceLink = regexp.MustCompile(`^SINE_RELAY_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_ADDR|_PORT|_PROTO)?)$`)

func (e *environment) known(name string) bool {
	if _, ok := settingNamed(name); ok {
		return true
	}
	base, isFile := strings.CutSuffix(name, "_FILE")
	s, ok := settingNamed(base)
	return isFile && ok && s.secret
}

func (e *environment) names() []string {
	var names []string
	for _, s := range settings {
		names = append(names, Prefix+s.name)
		if s.secret {
			names = append(names, Prefix+s.name+"_FILE")
		}
	}
	return names
}

// readSecretFiles replaces each …_FILE by what the file holds.
func (e *environment) readSecretFiles() {
	for _, s := range settings {
		file, given := e.values[s.name+"_FILE"]
		if !s.secret || !given {
			continue
		}
		where := Prefix + s.name + "_FILE"
		if _, both := e.values[s.name]; both {
			e.faults.add(where, "is set, and so is %s: set one of them", Prefix+s.name)
			continue
		}
		content, err := os.ReadFile(file)
		switch value := strings.TrimSpace(string(content)); {
		case err != nil:
			e.faults.add(where, "%v", err)
		case value == "":
			e.faults.add(where, "%s is empty", file)
		default:
			e.values[s.name] = value
		}
	}
}

// Lookup is called by envconfig.
func (e *environment) Lookup(name string) (string, bool) {
	e.last = name
	value, ok := e.values[name]
	return value, ok && !e.faulty[name]
}

// EnvMutate is called by envconfig for each value, defaults included: it turns
// sizes and days into what Go parses.
func (e *environment) EnvMutate(_ context.Context, name, _, _, value string) (string, bool, error) {
	s, _ := settingNamed(name)
	switch s.unit {
	case "bytes":
		if n, ok := parseSize(value); ok {
			return strconv.FormatInt(n, 10), false, nil
		}
		return "not a size", false, nil
	case "duration":
		if d, ok := parseDuration(value); ok {
			return d.String(), false, nil
		}
		return "not a duration", false, nil
	}
	return strings.TrimSpace(value), false, nil
}

// decode fills into. After each fault the variable is taken for not set and
// decoding begins anew, until there is no fault left.
func (e *environment) decode(into *Environment) {
	for {
		*into = Environment{}
		err := envconfig.ProcessWith(context.Background(), &envconfig.Config{
			Target: into, Lookuper: e, Mutators: []envconfig.Mutator{e},
		})
		if err == nil {
			return
		}
		if e.faulty[e.last] {
			// A default that cannot be decoded is a mistake in this package.
			panic("config: " + err.Error())
		}
		s, _ := settingNamed(e.last)
		e.faulty[e.last] = true
		e.faults.add(Prefix+e.last, "%s", s.misfit(e.values[e.last]))
	}
}

// misfit says what is wrong with a value, which is not secret: secrets are texts
// and always fit.
func (s setting) misfit(value string) string {
	quoted := strconv.Quote(value)
	switch {
	case s.unit == "duration":
		return quoted + " is no duration; write for example 500ms, 2.5s or 30d"
	case s.unit == "bytes":
		return quoted + " is no size; write for example 65536, 256KiB, 64MiB or 2GiB"
	case s.kind == reflect.Bool:
		return quoted + " is neither true nor false"
	default:
		return quoted + " is no whole number"
	}
}

var sizeUnits = map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

func parseSize(s string) (int64, bool) {
	s = strings.TrimSpace(s)
	digits := strings.TrimRight(s, "BKMGTi ")
	unit, ok := sizeUnits[strings.TrimSpace(s[len(digits):])]
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n < 0 || n > (1<<62)/unit {
		return 0, false
	}
	return n * unit, true
}

// parseDuration reads what Go reads, and whole days.
func parseDuration(s string) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		return time.Duration(n) * 24 * time.Hour, err == nil && n >= 0 && n <= 36500
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}

// didYouMean proposes the nearest name, if one is near.
func didYouMean(name string, known []string) string {
	best, distance := "", len(name)/3+1
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := editDistance(name, k); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// sortedKeys keeps messages in a stable order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
