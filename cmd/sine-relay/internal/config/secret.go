package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// Secret is a text that prints as a mask, whichever way it is printed.
type Secret string

const mask = "********"

// Reveal returns the text. Its calls are the places to look at in a review.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// Format masks under every verb: fmt asks a Stringer for some verbs only, and
// prints the text itself in its complaint about the others.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(s.String()) }

func readSecret(file string) (string, error) {
	content, err := readRegular(file, largestFile)
	return strings.TrimSpace(string(content)), err
}

// NATSTokenNow is nil where there is no token; else it returns the one that is
// in force, see [Settings.NATSPasswordNow].
func (s Settings) NATSTokenNow() func() string { return s.now("NATS_TOKEN", s.NATSToken) }

// NATSPasswordNow is nil where there is no password; else it returns what the
// password's file holds when it is called, or what it held at the start when it
// cannot be read.
func (s Settings) NATSPasswordNow() func() string { return s.now("NATS_PASSWORD", s.NATSPassword) }

func (s Settings) now(name string, atStart Secret) func() string {
	if atStart == "" {
		return nil
	}
	return func() string {
		if file := s.secretFiles[name]; file != "" {
			if fresh, err := readSecret(file); err == nil && fresh != "" {
				return fresh
			}
		}
		return atStart.Reveal()
	}
}

// largestFile is beyond any file of integrations, certificates or secrets: a larger
// one is something else.
const largestFile = 16 << 20

var (
	errNotRegular = errors.New("not a regular file")
	errTooLarge   = errors.New("too large")
)

// readRegular reads a regular file of at most so many bytes. Other kinds are
// refused, since the relay reads its files again and again: a pipe without a writer
// holds up whoever opens it for ever, and has something to read once.
func readRegular(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%w: a directory", errNotRegular)
	case !info.Mode().IsRegular():
		return nil, errNotRegular
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(content)) > most {
		return nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, most)
	}
	return content, err
}
