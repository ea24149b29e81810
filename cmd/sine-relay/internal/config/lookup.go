package config

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/sethvargo/go-envconfig"
)

// environment is a look-up for envconfig that knows what was asked for last, so
// that a fault can be told by its variable, and every fault be found: envconfig
// stops at the first.
type environment struct {
	values map[string]string // by name without the prefix
	set    map[string]bool   // by name with the prefix
	files  map[string]string // of secrets, by name without the prefix
	faults *Faults
	last   string
	faulty map[string]bool
}

// newEnvironment takes what is ours from environ. A variable that is set but
// empty counts as not set: envconfig would let it suppress the default.
func newEnvironment(environ []string, defaults map[string]string, f *Faults) *environment {
	e := &environment{values: map[string]string{}, set: map[string]bool{}, files: map[string]string{}, faults: f, faulty: map[string]bool{}}
	for _, pair := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(pair, "=")
		short, ours := strings.CutPrefix(name, Prefix)
		value = strings.TrimSpace(value)
		if !ours || value == "" || isServiceLink(name, value) {
			continue
		}
		if !known(short) {
			f.add(name, "is not a setting%s", didYouMeanSetting(short))
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
			e.faults.setting(s.name+"_FILE", "is set, and so is %s: set one of them", Prefix+s.name)
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
			e.faults.unreadable(s.name+"_FILE", err)
		case value == "":
			e.faults.setting(s.name+"_FILE", "%s is empty", file)
		default:
			e.values[s.name], e.files[s.name] = value, file
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
	return value, false, nil
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
		e.faults.setting(e.last, "%s", s.misfit(e.values[e.last]))
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
