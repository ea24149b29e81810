package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sine-relay/sine-relay/relay"
)

// largestKeyFile is beyond any file of keys: a larger one is something else.
const largestKeyFile = 1 << 20

var errNoKeyFile = errors.New("not a file of keys")

// readKeyFile reads a file of keys.
func readKeyFile(path string) ([]byte, error) {
	content, err := readRegular(path, largestKeyFile)
	if errors.Is(err, errNotRegular) || errors.Is(err, errTooLarge) {
		return nil, fmt.Errorf("%w: %w", errNoKeyFile, err)
	}
	return content, err
}

func withoutPath(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// Key lengths, in characters. One that is too short is not accepted: it can be
// tried out.
const (
	tooShortKey = 8
	shortKey    = 16
)

// parse reads keys line by line. A line that begins with # is a comment; the
// comment "# name: …" names the next key. Any other line is split into keys, so
// that a key may contain every printable character, but not begin with #.
// Already is how many keys the integration has.
func (s *keySource) parse(content string, split func(string) []string, already int) {
	name, number := "", 0
	for line := range strings.Lines(content) {
		number++
		line = strings.TrimSpace(line)
		if comment, ok := strings.CutPrefix(line, "#"); ok {
			if given, ok := strings.CutPrefix(strings.TrimSpace(comment), "name:"); ok {
				name = s.keyName(fmt.Sprintf("%s:%d", s.where, number), strings.TrimSpace(given))
			}
			continue
		}
		if !printable(line) {
			s.problems.about(fmt.Sprintf("%s:%d", s.where, number), integrationOf(s.integration), "contains a non-printable character, which Sine would not send; is it plain text in UTF-8, without a byte order mark?")
			continue
		}
		for _, secret := range split(line) {
			if secret = strings.TrimSpace(secret); secret == "" {
				continue
			}
			if name == "" {
				name = fmt.Sprintf("%s#%d", s.integration, already+len(s.keys)+1)
			}
			s.addKey(fmt.Sprintf("%s:%d", s.where, number), name, secret)
			name = ""
		}
	}
}

// longestKeyName is in characters.
const longestKeyName = 64

// keyName is a name for a key, or "" for one that metrics and logs cannot show: a
// label that is no UTF-8 would end the metrics of the whole relay.
func (s *keySource) keyName(where, given string) string {
	if printable(given) && utf8.RuneCountInString(given) <= longestKeyName {
		return given
	}
	s.warnings.about(where, integrationOf(s.integration), "the name of a key must be printable UTF-8 of at most %d characters; the key is named by its position instead", longestKeyName)
	return ""
}

func byLine(line string) []string  { return []string{line} }
func byComma(line string) []string { return strings.Split(line, ",") }

func (s *keySource) addKey(where, name, secret string) {
	if utf8.RuneCountInString(secret) < tooShortKey {
		s.problems.about(where, s.of(name), "has fewer than %d characters and is not accepted: use %d or more", tooShortKey, shortKey)
		return
	}
	for _, slip := range keyWarnings(secret) {
		s.warnings.about(where, s.of(name), "%s", slip)
	}
	if slices.ContainsFunc(s.keys, func(other apiKey) bool { return other.Name() == name }) {
		s.warnings.about(where, s.of(name), "two keys have this name, and metrics do not tell them apart")
	}
	s.keys = append(s.keys, apiKey{relay.NewKey(name, secret), sha256.Sum256([]byte(secret))})
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) })
}

// keyLabel is what stands before a key where it was copied from, as in YAML or in
// a header.
var keyLabel = regexp.MustCompile(`(?i)^"?(key|api[-_ ]?key|x-sine-auth)"?\s*[:=]`)

// keyWarnings say in what way a key looks as if more was copied than the key. It is
// taken as it is: Sine may well send it so.
func keyWarnings(key string) (all []string) {
	if utf8.RuneCountInString(key) < shortKey {
		all = append(all, fmt.Sprintf("has fewer than %d characters and may be guessed", shortKey))
	}
	if first, last := key[0], key[len(key)-1]; first == last && strings.ContainsRune("\"'`", rune(first)) {
		all = append(all, "is quoted; the quotes are part of the key, and Sine must send them")
	}
	if strings.ContainsFunc(key, unicode.IsSpace) {
		all = append(all, "contains spaces; two keys belong on two lines")
	}
	if label := keyLabel.FindString(key); label != "" {
		all = append(all, fmt.Sprintf("begins with %s, which is taken as part of the key: only the key itself belongs here", label))
	}
	return all
}

// worldReadable reports whether every user of the machine can read a file. In what
// Kubernetes mounts, a file is readable by all unless somebody says otherwise, and
// there is nobody else in the container. Windows knows no such bits.
func worldReadable(path string) bool {
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

// FirstKey returns the first key of a file of keys.
func FirstKey(content string) (key string, err error) {
	(&keySource{}).parse(content, func(line string) []string {
		if key == "" {
			key = line
		}
		return nil
	}, 0)
	if key == "" {
		return "", fmt.Errorf("%w: it has no key", errNoKeyFile)
	}
	return key, nil
}
