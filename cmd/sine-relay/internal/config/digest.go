package config

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
)

// Digest tells whether files have changed.
type Digest [sha256.Size]byte

// Digest is that of the files that may change while the relay runs: those of the
// integrations and their keys, and the certificate.
func (s Settings) Digest() Digest {
	h := sha256.New()
	for _, path := range s.files() {
		content, err := os.ReadFile(path)
		if err != nil {
			content = []byte(err.Error())
		}
		fmt.Fprintf(h, "%s %d\n", path, len(content))
		h.Write(content)
	}
	return Digest(h.Sum(nil))
}

func (s Settings) files() []string {
	all := []string{s.IntegrationsFile, s.TLSCertFile, s.TLSKeyFile, s.secretFiles["KEYS"]}
	if entries, err := os.ReadDir(s.KeysDir); s.KeysDir != "" && err == nil {
		for _, e := range entries {
			all = append(all, filepath.Join(s.KeysDir, e.Name()))
		}
	}
	var named []string
	for _, path := range all {
		if path != "" {
			named = append(named, path)
		}
	}
	return named
}
