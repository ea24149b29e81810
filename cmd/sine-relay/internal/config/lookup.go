package config

import (
	"context"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"
)

// environment is a look-up for envconfig that knows what was asked for last, so
// that a problem names its variable, and every problem is found: envconfig stops
// at the first.
type environment struct {
	values   map[string]string // by name without the prefix
	set      map[string]bool   // by name with the prefix
	files    map[string]string // of secrets, by name without the prefix
	problems *Problems
	last     string
	invalid  map[string]bool
}

// newEnvironment takes what is ours from environ. A variable that is set but
// empty counts as not set: envconfig would let it suppress the default.
func newEnvironment(environ []string, defaults map[string]string, f *Problems) *environment {
	e := &environment{values: map[string]string{}, set: map[string]bool{}, files: map[string]string{}, problems: f, invalid: map[string]bool{}}
	for _, pair := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(pair, "=")
		short, ours := strings.CutPrefix(name, Prefix)
		value = strings.TrimSpace(value)
		if !ours || value == "" || isServiceLink(name, value) {
			continue
		}
		if !known(short) {
			f.add(name, "unknown setting%s", didYouMeanSetting(short))
			continue
		}
		e.values[short] = value
		e.set[name] = true
	}
	e.readSecretFiles()
	for name, value := range defaults {
		short := strings.TrimPrefix(name, Prefix)
		if _, ok := e.values[short]; !ok {
			e.values[short] = value
		}
	}
	return e
}

// readSecretFiles replaces each …_FILE by what the file holds.
func (e *environment) readSecretFiles() {
	for _, s := range settings {
		file, given := e.values[s.name+"_FILE"]
		if !s.secret || !given {
			continue
		}
		if _, both := e.values[s.name]; both {
			e.problems.setting(s.name+"_FILE", "must not be set together with %s", Prefix+s.name)
			continue
		}
		e.set[Prefix+s.name] = true
		if s.name == "KEYS" {
			e.files[s.name] = file // read apart, see Keyring
			continue
		}
		value, err := readSecret(file)
		switch {
		case err != nil:
			e.problems.unreadable(s.name+"_FILE", err)
		case value == "":
			e.problems.setting(s.name+"_FILE", "%s is empty", file)
		default:
			e.values[s.name], e.files[s.name] = value, file
		}
	}
}

// Lookup is called by envconfig.
func (e *environment) Lookup(name string) (string, bool) {
	e.last = name
	value, ok := e.values[name]
	return value, ok && !e.invalid[name]
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
	return value, false, nil
}

// decode fills into. After each problem the variable is taken for not set and
// decoding begins anew, until there is no problem left.
func (e *environment) decode(into *Environment) {
	for {
		*into = Environment{}
		err := envconfig.ProcessWith(context.Background(), &envconfig.Config{
			Target: into, Lookuper: e, Mutators: []envconfig.Mutator{e},
		})
		if err == nil {
			return
		}
		if e.invalid[e.last] {
			// A default that cannot be decoded is a mistake in this package.
			panic("config: " + err.Error())
		}
		s, _ := settingNamed(e.last)
		e.invalid[e.last] = true
		e.problems.setting(e.last, "%s", s.mismatch(e.values[e.last]))
	}
}

// Lookup returns the value of a variable, if it is set and not empty.
func Lookup(environ []string, name string) (value string, ok bool) {
	for _, pair := range environ {
		if v, found := strings.CutPrefix(pair, name+"="); found {
			value = v
		}
	}
	return value, value != ""
}

// Kubernetes puts these into the environment of every pod beside a Service whose
// name begins with sine-relay. Its …_PORT always holds a URL: without one, the
// name is an operator's.
var (
	serviceName = regexp.MustCompile(`^SINE_RELAY_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_ADDR|_PORT|_PROTO)?)$`)
	servicePort = regexp.MustCompile(`^SINE_RELAY_([A-Z0-9_]+_)?PORT=(tcp|udp|sctp)://`)
)

func isServiceLink(name, value string) bool {
	return serviceName.MatchString(name) || servicePort.MatchString(name+"="+value)
}

// known reports whether there is a variable of that name without the prefix.
func known(name string) bool { return slices.Contains(names(), name) }

// names lists all variables without the prefix.
func names() []string {
	var all []string
	for _, s := range settings {
		all = append(all, s.name)
		if s.secret {
			all = append(all, s.name+"_FILE")
		}
	}
	return all
}

func didYouMeanSetting(name string) string { return proposal(Prefix, nearest(name, names())) }

// DidYouMean proposes the nearest name, if one is near.
func DidYouMean(name string, known []string) string { return proposal("", nearest(name, known)) }

func proposal(prefix, name string) string {
	if name == "" {
		return ""
	}
	return "; did you mean " + prefix + name + "?"
}

// nearest takes a swapped pair of letters, which are two edits, for near, and
// never a name of which nothing is left.
func nearest(name string, known []string) string {
	best, distance := "", min(max(2, len(name)/3), len(name)-1)+1
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := editDistance(strings.ToLower(name), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	return best
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

// sizeUnits are powers of 1024. Those of 1000 are refused: nobody could tell
// which of the two an operator meant by "KB".
var sizeUnits = map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

func splitSize(s string) (digits, unit string) {
	digits = strings.TrimRight(s, "BbKkMmGgTtIi ")
	return digits, strings.TrimSpace(s[len(digits):])
}

// parseSize reads bytes, alone or with a unit.
func parseSize(s string) (int64, bool) {
	digits, name := splitSize(strings.TrimSpace(s))
	unit, ok := sizeUnits[name]
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

// mismatch says what is wrong with a value, which is not secret: secrets are texts
// and always fit.
func (s setting) mismatch(value string) string {
	switch {
	case s.unit == "duration":
		return invalidDuration(value)
	case s.unit == "bytes":
		return invalidSize(value)
	case s.kind == reflect.Bool:
		return "must be true or false, got " + strconv.Quote(value)
	default:
		return "must be a whole number, got " + strconv.Quote(value)
	}
}

func invalidDuration(value string) string {
	proposal := ""
	if _, ok := parseDuration(value + "s"); ok {
		proposal = "; did you mean " + value + "s?"
	}
	return "must be a duration such as 500ms, 2.5s or 30d, got " + strconv.Quote(value) + proposal
}

func invalidSize(value string) string {
	proposal := ""
	if digits, unit := splitSize(value); unit != "" {
		meant := digits + strings.ToUpper(unit[:1]) + "iB"
		if _, ok := parseSize(meant); ok {
			proposal = "; did you mean " + meant + "?"
		}
	}
	return "must be a size such as 65536, 256KiB or 2GiB, got " + strconv.Quote(value) + proposal
}
