package embedded

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// readPasswords reads the passwords of all users in dir, a file each, and makes those
// that are not there.
func readPasswords(dir string) (map[string]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("NATS passwords: %w", err)
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return nil, fmt.Errorf("NATS passwords: %w", err)
	}
	all := map[string]string{}
	for _, user := range users {
		secret, err := password(filepath.Join(dir, user))
		if err != nil {
			return nil, err
		}
		all[user] = secret
	}
	return all, nil
}

// password reads the password in file, and makes one when there is no file.
func password(file string) (string, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return newPassword(file)
	}
	if err != nil {
		return "", fmt.Errorf("NATS password: %w", err)
	}
	if shared(info) {
		return "", fmt.Errorf("NATS password: others than its owner may read or write %s; run: chmod 600 %[1]s", file)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("NATS password: %w", err)
	}
	secret := strings.TrimSpace(string(content))
	if secret == "" {
		// An empty password would let everybody in.
		return "", fmt.Errorf("NATS password: %s is empty; remove it, and the next start makes a new password", file)
	}
	return secret, nil
}

func newPassword(file string) (string, error) {
	secret := rand.Text() // 130 bits, and no sign that a URL would escape
	if err := writeWhole(file, secret+"\n"); err != nil {
		return "", fmt.Errorf("NATS password: %w", err)
	}
	return secret, nil
}

// writeWhole leaves either no file or the whole content, even when the power
// goes in between.
func writeWhole(file, content string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+"-*") // for its owner alone
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	return syncDir(filepath.Dir(file))
}
