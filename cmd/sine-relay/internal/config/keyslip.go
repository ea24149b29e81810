package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"
)

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) })
}

// keyLabel is what stands before a key where it was copied from, as in YAML or in
// a header.
var keyLabel = regexp.MustCompile(`(?i)^"?(key|api[-_ ]?key|x-sine-auth)"?\s*[:=]`)

// slips tells in what way a key looks as if more was copied than the key. It is
// taken as it is: Sine may well send it so.
func slips(key string) (all []string) {
	if utf8.RuneCountInString(key) < shortKey {
		all = append(all, fmt.Sprintf("has fewer than %d characters and may be guessed", shortKey))
	}
	if first, last := key[0], key[len(key)-1]; first == last && strings.ContainsRune("\"'`", rune(first)) {
		all = append(all, "is in quotes, which are part of it: Sine must send them, too")
	}
	if strings.ContainsFunc(key, unicode.IsSpace) {
		all = append(all, "has blanks inside; are these two keys, which belong on a line each?")
	}
	if label := keyLabel.FindString(key); label != "" {
		all = append(all, fmt.Sprintf("begins with %s, which is part of it: only the key itself belongs here", label))
	}
	return all
}

// openToAll reports whether every user of the machine can read a file. In what
// Kubernetes mounts, a file is readable by all unless somebody says otherwise, and
// there is nobody else in the container. Windows knows no such bits.
func openToAll(path string) bool {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o004 == 0 || runtime.GOOS == "windows" {
		return false
	}
	dir := filepath.Dir(path)
	if _, err := os.Lstat(filepath.Join(dir, "..data")); err == nil {
		return false
	}
	around, err := os.Stat(dir)
	return err == nil && around.Mode().Perm()&0o001 != 0 // or nobody comes as far as the file
}
