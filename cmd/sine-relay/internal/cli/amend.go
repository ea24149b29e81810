package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/internal/atomicfile"
)

// integrationsFileVariable names the file that a relay reads.
const integrationsFileVariable = config.Prefix + "INTEGRATIONS_FILE"

// amend writes settings into the integrations file, and returns its name. A file that
// could not be loaded afterwards stays as it is.
func (l *learning) amend(in Process, settings config.Settings, a config.Amendment) (file string, err error) {
	file = cmp.Or(l.into, settings.IntegrationsFile)
	if file == "" {
		return "", usagef("--write needs a file: name it by --into, or set %s as for the relay", integrationsFileVariable)
	}
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the integrations file: %w", err)
	}
	after, err := config.Amend(before, a)
	if err != nil {
		return "", fmt.Errorf("%s cannot be changed: %w", file, err)
	}
	if err := l.loads(in, after); err != nil {
		return "", fmt.Errorf("%s would have errors, and is not changed:\n%w", file, err)
	}
	if err := atomicfile.Replace(file, after); err != nil {
		return "", fmt.Errorf("write the integrations file: %w", err)
	}
	return file, nil
}

// loads reads settings as they would be with a file of that content.
func (l *learning) loads(in Process, content []byte) error {
	dir, err := os.MkdirTemp("", "sine-relay-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "integrations.yaml")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return err
	}
	settings, err := config.LoadOffline(config.With(in.Environ, integrationsFileVariable, file))
	if err != nil {
		return err
	}
	if problems := settings.Invalid[l.integration]; len(problems) > 0 {
		return problems
	}
	return nil
}
