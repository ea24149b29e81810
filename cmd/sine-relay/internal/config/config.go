// Package config reads everything that an operator sets: the environment, and
// the files that it names. It reports every fault at once, each with where it is
// and what would be right, and hands back plain values. It decides nothing else.
//
// Names are part of the product's interface: none is renamed, and an unknown one
// is a fault. No fault and no warning ever holds a secret.
package config

import (
	"log/slog"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/caller"
)

// Prefix begins the name of every setting.
const Prefix = "SINE_RELAY_"

// Settings is a configuration without faults.
type Settings struct {
	Environment
	// Level is LogLevel, parsed.
	Level        slog.Level
	Integrations []relay.Integration
	// Proxies are TrustedProxies and ForwardedHeader, parsed.
	Proxies caller.Proxies
	// Entries describe the integrations to people, in the same order.
	Entries []Entry
	// Warnings are things that are allowed and probably not meant.
	Warnings []string

	set map[string]bool
	// secretFiles are the files that secrets were read from, by the secret's
	// name.
	secretFiles map[string]string
	// policyVersion names what the integrations file and the settings that it
	// builds on say.
	policyVersion string
}

// Load reads the settings from environ, which has the form of os.Environ, and
// the files that they name. Defaults stand in for variables that are not set,
// by name with the prefix. An error is a [Faults].
func Load(environ []string, defaults map[string]string) (Settings, error) {
	return read(environ, defaults, func(Settings) bool { return true })
}

// LoadForOperator reads the settings for a command that does not answer Sine: it
// may do without integrations, and then there are none.
func LoadForOperator(environ []string) (Settings, error) {
	return read(environ, nil, func(s Settings) bool {
		return s.Keys != "" || s.IntegrationsFile != "" || s.KeysDir != ""
	})
}

func read(environ []string, defaults map[string]string, integrated func(Settings) bool) (Settings, error) {
	var f Faults
	e := newEnvironment(environ, defaults, &f)
	s := Settings{set: e.set, secretFiles: e.files}
	e.decode(&s.Environment)
	s.check(&f)
	if integrated(s) {
		s.loadIntegrations(&f)
	}
	if len(f) > 0 {
		return Settings{}, f
	}
	s.warn()
	return s, nil
}

// IsSet reports whether the operator set a variable or its …_FILE, by name with
// the prefix, and it is not a default.
func (s Settings) IsSet(name string) bool { return s.set[name] }
