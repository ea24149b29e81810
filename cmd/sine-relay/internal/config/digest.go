package config

import (
	"crypto/sha256"
	"fmt"
	"slices"
)

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
