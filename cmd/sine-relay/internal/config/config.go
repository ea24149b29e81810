// Package config reads everything that an operator sets: the environment, and
// the files that it names. It reports every problem at once, each with where it is
// and what would be right, and hands back plain values. It decides nothing else.
//
// Names are part of the product's interface: none is renamed, and an unknown one
// is a problem. No problem and no warning ever holds a secret.
package config

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"

	"github.com/sine-relay/sine-relay/internal/clientip"
	"github.com/sine-relay/sine-relay/relay"
)

// Prefix begins the name of every setting.
const Prefix = "SINE_RELAY_"

// Settings is a configuration without problems.
type Settings struct {
	Environment
	// Level is LogLevel, parsed.
	Level slog.Level
	// Integrations are those without problems, with their keys if these were read.
	Integrations []relay.Integration
	// Invalid are the problems of single integrations, by name, which leave the
	// others alone. Those of entries whose name cannot be told are under "".
	Invalid map[string]Problems
	// NonFatal is everything that is wrong and does not keep the rest from being
	// in force: the problems of single integrations and of keys.
	NonFatal Problems
	// Keyring is nil where the keys were not read.
	Keyring *Keyring
	// Proxies are TrustedProxies and ForwardedHeader, parsed.
	Proxies clientip.Proxies
	// Entries describe the integrations to people, in the same order.
	Entries []Entry
	// Warnings are things that are allowed and probably not meant.
	Warnings Problems

	// brokenSites are those of integrations with errors, as far as they are known.
	brokenSites []string

	keys keyring
	// orContext is what [OrContext] says.
	orContext string
	set       map[string]bool
	// secretFiles are the files that secrets were read from, by the secret's
	// name.
	secretFiles map[string]string
	// policyVersion names what the integrations file and the settings that it
	// builds on say.
	policyVersion string
}

// Load reads the settings from environ, which has the form of os.Environ, and
// the files that they name. Defaults stand in for variables that are not set,
// by name with the prefix. An error is a [Problems], of everything that is wrong. It
// is nil where what is wrong is contained: see [Settings.NonFatal]. Beside an error
// there are the warnings, and of the settings the environment as far as it was read.
func Load(environ []string, defaults map[string]string) (Settings, error) {
	return read(environ, defaults, always, withKeys)
}

// LoadWithoutKeys is Load without the keys: these are followed apart, see
// [Settings.ReadKeys], so that neither waits for the other to be mended.
func LoadWithoutKeys(environ []string, defaults map[string]string) (Settings, error) {
	return read(environ, defaults, always, withoutKeys)
}

// LoadForOperator reads the settings for a command that does not answer Sine: it reads
// no keys, and may do without integrations, and then there are none.
func LoadForOperator(environ []string) (Settings, error) {
	return read(environ, nil, func(s Settings) bool { return s.keysGiven() || s.IntegrationsFile != "" }, keyless)
}

// LoadIntegrations is the same for a command that is about integrations: without a file
// of them there is the integration "default".
func LoadIntegrations(environ []string) (Settings, error) {
	return read(environ, nil, always, keyless)
}

// LoadNames reads the settings for a command that only wants the names in them, of
// subjects and streams. It needs neither a NATS nor integrations.
func LoadNames(environ []string) (Settings, error) {
	return read(environ, map[string]string{Prefix + "NATS_URL": "nats://127.0.0.1:4222"}, func(Settings) bool { return false }, keyless)
}

// LoadOffline is the same for a command that needs no NATS: that none is configured is
// no problem.
func LoadOffline(environ []string) (Settings, error) {
	s, err := LoadIntegrations(environ)
	if err == nil || s.NATSURL != "" || s.NATSStoreDir != "" {
		return s, err
	}
	return read(environ, map[string]string{Prefix + "NATS_URL": "nats://127.0.0.1:4222"}, always, keyless)
}

func always(Settings) bool { return true }

// keyring says what becomes of keys.
type keyring int

const (
	withKeys keyring = iota
	// withoutKeys leaves them to [Settings.ReadKeys].
	withoutKeys
	// keyless has no use for them: that they are missing is no problem.
	keyless
)

func read(environ []string, defaults map[string]string, integrated func(Settings) bool, keys keyring) (Settings, error) {
	var f Problems
	e := newEnvironment(environ, defaults, &f)
	s := Settings{set: e.set, secretFiles: e.files, Invalid: map[string]Problems{}, keys: keys, orContext: OrContext(environ)}
	e.decode(&s.Environment)
	s.check(&f)
	if integrated(s) {
		s.loadIntegrations(&f)
		if keys == withKeys {
			s.loadKeys(&f)
		}
	}
	s.warn()
	if len(f) > 0 {
		return Settings{Environment: s.Environment, Warnings: s.Warnings}, append(f, s.NonFatal...)
	}
	return s, nil
}

// loadKeys gives the integrations their keys. Without any knowledge of the keys,
// no lobby would be open: that is a problem of the whole.
func (s *Settings) loadKeys(f *Problems) {
	s.Keyring = s.ReadKeys(nil)
	if s.Keyring.unlisted != nil {
		*f = append(*f, *s.Keyring.unlisted)
		return
	}
	s.Integrations = s.Keyring.Issue(s.Integrations)
	for i := range s.Entries {
		for _, k := range s.Keyring.Of(s.Entries[i].Name) {
			s.Entries[i].KeyNames = append(s.Entries[i].KeyNames, k.Name())
		}
	}
	if s.IntegrationsFile != "" && s.KeysDir == "" && !s.keysGiven() {
		return // one problem of its own
	}
	problems, warnings := s.Keyring.Check(s.Names())
	s.NonFatal = append(s.NonFatal, problems...)
	s.Warnings = append(s.Warnings, warnings...)
}

// keysGiven reports whether the environment defines the integration "default".
func (s Settings) keysGiven() bool { return s.Keys != "" || s.secretFiles["KEYS"] != "" }

// Sites are the sites of all integrations, each once: those of broken ones, too,
// since a relay that knew them before goes on with them.
func (s Settings) Sites() []string {
	all := slices.Clone(s.brokenSites)
	for _, i := range s.Integrations {
		all = append(all, i.Site)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Names are the names of all integrations, broken ones included, and whether
// these are all that there are: the name of an entry may be what is broken.
func (s Settings) Names() (names []string, all bool) {
	for _, i := range s.Integrations {
		names = append(names, i.Name)
	}
	_, unnamed := s.Invalid[""]
	for _, name := range sortedKeys(s.Invalid) {
		if name != "" {
			names = append(names, name)
		}
	}
	return names, !unnamed
}

// IsSet reports whether the operator set a variable or its …_FILE, by name with
// the prefix, and it is not a default.
func (s Settings) IsSet(name string) bool { return s.set[name] }

// Digest tells whether files have changed.
type Digest [sha256.Size]byte

// Digest is that of the files that were read, but for the keys, which have their
// own: see [Keyring.Digest].
func (s Settings) Digest() Digest {
	h := sha256.New()
	for _, path := range s.files() {
		content, err := readRegular(path, largestFile)
		if err != nil {
			content = []byte(err.Error())
		}
		fmt.Fprintf(h, "%s %d\n", path, len(content))
		h.Write(content)
	}
	return Digest(h.Sum(nil))
}

func (s Settings) files() []string {
	all := []string{
		s.IntegrationsFile, s.TLSCertFile, s.TLSKeyFile, s.NATSListenTLSCert, s.NATSListenTLSKey,
		s.NATSCAFile, s.NATSCertFile, s.NATSKeyFile, s.NATSCredentialsFile, s.NATSNKeyFile,
	}
	for _, secret := range sortedKeys(s.secretFiles) {
		if secret != "KEYS" {
			all = append(all, s.secretFiles[secret])
		}
	}
	return slices.DeleteFunc(all, func(path string) bool { return path == "" })
}

// KeysFile is SINE_RELAY_KEYS_FILE.
func (s Settings) KeysFile() string { return s.secretFiles["KEYS"] }
