package embedded

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sine-relay/sine-relay/internal/atomicfile"
)

// readPasswords reads the passwords of all users in dir, a file each. Those that are
// not there are written, as they are known or new.
func readPasswords(dir string, known map[string]string) (map[string]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("NATS passwords: %w", err)
	}
	if err := atomicfile.SyncDir(filepath.Dir(dir)); err != nil {
		return nil, fmt.Errorf("NATS passwords: %w", err)
	}
	all := map[string]string{}
	for _, user := range users {
		secret, err := password(filepath.Join(dir, user), known[user])
		if err != nil {
			return nil, err
		}
		all[user] = secret
	}
	return all, nil
}

// password reads the password in file. When there is no file it makes one. A known
// password, of a server that is started anew, is written again where its file says
// none any more.
func password(file, known string) (string, error) {
	secret, err := readPassword(file)
	if err != nil && (known != "" || errors.Is(err, fs.ErrNotExist)) {
		return newPassword(file, known)
	}
	return secret, err
}

func readPassword(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("NATS password: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("NATS password: %s is not a regular file", file)
	}
	if shared(info) {
		return "", fmt.Errorf("NATS password: %s is readable or writable by others than its owner; run: chmod 600 %[1]s", file)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("NATS password: %w", err)
	}
	secret := strings.TrimSpace(string(content))
	if secret == "" {
		// An empty password would let everybody in.
		return "", fmt.Errorf("NATS password: %s is empty; remove it, and the next start creates a new password", file)
	}
	return secret, nil
}

func newPassword(file, known string) (string, error) {
	secret := cmp.Or(known, rand.Text()) // 130 bits, and no character that a URL would escape
	if err := atomicfile.Write(file, []byte(secret+"\n")); err != nil {
		return "", fmt.Errorf("NATS password: %w", err)
	}
	return secret, nil
}
