package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sine-relay/sine-relay/relay"
)

// shortKey is the length below which a key is warned about.
const shortKey = 16

// keyring holds the keys by integration.
type keyring struct {
	keys map[string][]relay.Key
	// owners tells which integration a key was first seen at.
	owners   map[string]string
	warnings []string
}

func newKeyring() *keyring {
	return &keyring{keys: map[string][]relay.Key{}, owners: map[string]string{}}
}

func (k *keyring) add(integration, name, secret string) {
	if len(secret) < shortKey {
		k.warnings = append(k.warnings, fmt.Sprintf("integration %s: the key %s has fewer than %d characters and may be guessed", integration, name, shortKey))
	}
	if owner, known := k.owners[secret]; known && owner != integration {
		k.warnings = append(k.warnings, fmt.Sprintf("integrations %s and %s share a key", owner, integration))
	}
	k.owners[secret] = integration
	k.keys[integration] = append(k.keys[integration], relay.NewKey(name, secret))
}

// addList adds keys from the environment: separated by commas or lines.
func (k *keyring) addList(integration, list string) {
	n := 0
	for _, secret := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '\n' }) {
		if secret = strings.TrimSpace(secret); secret != "" {
			n++
			k.add(integration, fmt.Sprintf("%s#%d", integration, n), secret)
		}
	}
}

// addDir adds the keys of a directory: one file per integration, named like it,
// one key a line. A comment "# name: …" names the key below it; other comments
// and empty lines are skipped. Names that begin with a dot are not looked at:
// Kubernetes keeps its own links there.
func (k *keyring) addDir(dir string) Faults {
	var f Faults
	files, err := os.ReadDir(dir)
	if err != nil {
		f.add(Prefix+"KEYS_DIR", "%v", err)
		return f
	}
	for _, file := range files {
		path := filepath.Join(dir, file.Name())
		info, err := os.Stat(path) // through the links of a mounted secret
		if strings.HasPrefix(file.Name(), ".") || (err == nil && info.IsDir()) {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			f.add(Prefix+"KEYS_DIR", "%v", err)
			continue
		}
		k.addFile(file.Name(), string(content))
	}
	return f
}

func (k *keyring) addFile(integration, content string) {
	n, name := 0, ""
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		comment, isComment := strings.CutPrefix(line, "#")
		switch given, named := strings.CutPrefix(strings.TrimSpace(comment), "name:"); {
		case line == "":
		case isComment && named:
			name = strings.TrimSpace(given)
		case isComment:
		default:
			n++
			if name == "" {
				name = fmt.Sprintf("%s#%d", integration, n)
			}
			k.add(integration, name, line)
			name = ""
		}
	}
}
