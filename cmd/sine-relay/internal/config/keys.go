package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sine-relay/sine-relay/relay"
)

// shortKey is the length below which a key is warned about.
const shortKey = 16

// keyring holds the keys by integration.
type keyring struct {
	// keys has an entry for every file, even where it holds no key.
	keys map[string][]relay.Key
	// owners tells which integration a key was last seen at.
	owners   map[string]string
	faults   *Faults
	warnings []string
	// complete is set once a directory was read: a key that is missing then
	// is a fault of its own.
	complete bool
}

func newKeyring(f *Faults) *keyring {
	return &keyring{keys: map[string][]relay.Key{}, owners: map[string]string{}, faults: f}
}

func (k *keyring) of(integration string) []relay.Key { return k.keys[integration] }

// addList adds keys from the environment, separated by commas or lines.
func (k *keyring) addList(where, integration, list string) {
	k.addLines(where, integration, list, func(line string) []string { return strings.Split(line, ",") })
}

// addDir adds the keys of a directory, if one is named: a file per integration,
// of its name, with one key a line. Names that begin with a dot are not looked
// at: Kubernetes keeps the files of a mounted secret there and links to them.
func (k *keyring) addDir(dir string) {
	if dir == "" {
		return
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		k.faults.unreadable("KEYS_DIR", err)
		return
	}
	k.complete = true
	for _, file := range files {
		path := filepath.Join(dir, file.Name())
		info, err := os.Stat(path) // through the links of a mounted secret
		if strings.HasPrefix(file.Name(), ".") || (err == nil && info.IsDir()) {
			continue
		}
		if err == nil && !info.Mode().IsRegular() { // a pipe would be read for ever
			k.faults.setting("KEYS_DIR", "%s is no regular file", path)
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			k.faults.setting("KEYS_DIR", "%v", err)
			continue
		}
		where := filepath.Join(filepath.Base(dir), file.Name())
		k.addLines(where, file.Name(), string(content), func(line string) []string { return []string{line} })
	}
}

// addLines adds keys line by line. A line that begins with # is a comment; the
// comment "# name: …" names the next key. Any other line is split into keys, so
// that a key may hold every sign that can be printed, but not begin with #.
func (k *keyring) addLines(where, integration, content string, split func(string) []string) {
	k.keys[integration] = k.of(integration)
	name, number := "", 0
	for line := range strings.Lines(content) {
		number++
		line = strings.TrimSpace(line)
		if comment, ok := strings.CutPrefix(line, "#"); ok {
			if given, ok := strings.CutPrefix(strings.TrimSpace(comment), "name:"); ok {
				name = strings.TrimSpace(given)
			}
			continue
		}
		if !printable(line) {
			k.faults.add(fmt.Sprintf("%s:%d", where, number), "holds a sign that cannot be printed and Sine would not send; is it plain text in UTF-8, without a byte order mark?")
			continue
		}
		for _, secret := range split(line) {
			if k.add(integration, name, strings.TrimSpace(secret)) {
				name = ""
			}
		}
	}
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) })
}

func (k *keyring) add(integration, name, secret string) (added bool) {
	if secret == "" {
		return false
	}
	if name == "" {
		name = fmt.Sprintf("%s#%d", integration, len(k.of(integration))+1)
	}
	if len(secret) < shortKey {
		k.warnings = append(k.warnings, fmt.Sprintf("integration %s: the key %s has fewer than %d characters and may be guessed", integration, name, shortKey))
	}
	switch owner, known := k.owners[secret]; {
	case known && owner != integration:
		k.warnings = append(k.warnings, fmt.Sprintf("integrations %s and %s share a key", owner, integration))
	case known:
		k.warnings = append(k.warnings, fmt.Sprintf("integration %s: the key %s is there a second time", integration, name))
	}
	if slices.ContainsFunc(k.of(integration), func(other relay.Key) bool { return other.Name() == name }) {
		k.warnings = append(k.warnings, fmt.Sprintf("integration %s: two keys are named %s, and metrics do not tell them apart", integration, name))
	}
	k.owners[secret] = integration
	k.keys[integration] = append(k.of(integration), relay.NewKey(name, secret))
	return true
}

// checkOwners finds the files that belong to no integration.
func (k *keyring) checkOwners(integrations map[string]bool) {
	for _, name := range sortedKeys(k.keys) {
		if !integrations[name] {
			k.faults.setting("KEYS_DIR", "the file %s belongs to no integration%s", name, didYouMean(name, sortedKeys(integrations)))
		}
	}
}
