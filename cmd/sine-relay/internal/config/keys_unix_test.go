//go:build unix

package config

import (
	"path/filepath"
	"syscall"
	"testing"
)

// To read a pipe that nobody writes to never ends, and no reload after it would
// begin.
func TestAPipeAmongTheKeysIsAFault(t *testing.T) {
	dir := files(t, map[string]string{"i.yaml": "integrations: [{name: lobby}]", "keys/lobby": key})
	if err := syscall.Mkfifo(filepath.Join(dir, "keys", "dock"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := faulty(t, "KEYS=", "INTEGRATIONS_FILE="+dir+"/i.yaml", "KEYS_DIR="+dir+"/keys")
	expect(t, text, "SINE_RELAY_KEYS_DIR", "keys/dock is no regular file")
}
